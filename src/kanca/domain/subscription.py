"""Subscriptions: outbound receivers, what they want to be sent, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kanca.domain.endpoint import Secret
from kanca.domain.retry import RetryPolicy

OPERATIONAL_ENDPOINT = 4
"""The endpoint number of events about webhooks themselves."""
OPERATIONAL = "operational"
"""What ``sources`` names them by."""

DEFAULT_SCHEDULE = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Between the attempts of a delivery: ten of them, over three days."""
DEFAULT_DELIVERY_POLICY = RetryPolicy(max_attempts=len(DEFAULT_SCHEDULE) + 1, schedule=DEFAULT_SCHEDULE)


class SignatureKind(StrEnum):
    """How deliveries of a subscription are signed."""

    STANDARD = "standard"
    """HMAC-SHA256: ``v1`` of Standard Webhooks, and ``X-Webhook-Signature``."""
    ED25519 = "ed25519"
    """``v1a`` of Standard Webhooks: the receiver needs only the public key."""
    HEX = "hex"
    """The hex HMAC-SHA256 of the body in one header, and nothing else."""


class SubscriptionStatus(StrEnum):
    """Whether a subscription is sent to."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    """A person switched it off."""
    UNVERIFIED = "unverified"
    """Its receiver has not answered the challenge."""
    DISABLED = "disabled"
    """Kanca switched it off; ``disabled_reason`` says why."""


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """How often and how fast failed deliveries are tried again."""

    policy: RetryPolicy = DEFAULT_DELIVERY_POLICY
    retries_any: bool = False
    """Every failure is tried again, those that say that the request itself is wrong (4xx) too."""


@dataclass(frozen=True, slots=True)
class SubscriptionConfig:
    """What a user sets on a subscription, beside where it is and what it wants."""

    filter: str | None = None
    """CEL over the event: where it is not true, the event is not for this subscription."""
    transform: str | None = None
    """CEL over the event: what is sent as the body, in place of the envelope."""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    """Seconds for one attempt; None is what the settings say."""
    retry_config: Mapping[str, Any] | None = None
    """As given; ``retry_of`` reads it."""
    rate_limit_per_second: float | None = None
    """Attempts a second; None is any number."""
    max_in_flight: int = 10
    """Attempts at once."""
    fifo: bool = False
    """Deliveries with the same key are made one after the other, in the order of their events."""
    fifo_key: str | None = None
    """CEL over the event; None is one key for all."""
    signature: SignatureKind = SignatureKind.STANDARD
    signature_header: str | None = None
    """With ``hex``: the header; None is ``X-Webhook-Signature``."""
    credential: str | None = None
    """The name of what Kanca proves itself with to the receiver, besides the signature."""
    challenge: bool = False
    """The receiver must echo a token before it is sent anything."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """An outbound receiver, secrets in clear (they are encrypted where it is stored)."""

    number: int
    id: str
    tenant: str
    name: str
    url: str
    events: tuple[str, ...]
    """Event types or wildcards."""
    sources: tuple[str, ...]
    """The endpoints (``wh_…``) whose events it gets besides published ones; or ``operational``."""
    config: SubscriptionConfig
    secrets: tuple[Secret, ...] = field(repr=False)
    """What deliveries are signed with; the newest first."""
    is_active: bool
    is_verified: bool
    """The challenge was answered, or none was asked for."""
    disabled_reason: str | None
    disabled_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @property
    def status(self) -> SubscriptionStatus:
        """Whether it is sent to."""
        return status_of(
            is_active=self.is_active,
            is_disabled=self.disabled_reason is not None,
            is_verified=self.is_verified,
        )


def status_of(*, is_active: bool, is_disabled: bool, is_verified: bool) -> SubscriptionStatus:
    """The status that follows from what is stored of a subscription."""
    if not is_active:
        return SubscriptionStatus.INACTIVE
    if is_disabled:
        return SubscriptionStatus.DISABLED
    return SubscriptionStatus.ACTIVE if is_verified else SubscriptionStatus.UNVERIFIED
