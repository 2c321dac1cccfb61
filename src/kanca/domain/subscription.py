"""Subscriptions: outbound receivers, what they want to be sent, and how."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kanca.domain.endpoint import InvalidConfig, Secret
from kanca.domain.retry import RetryPolicy

MAX_TIMEOUT_S = 300
MAX_RATE_PER_SECOND = 10_000
MAX_IN_FLIGHT = 1_000
MAX_ATTEMPTS = 50
MAX_DELAY_S = 7 * 24 * 3600
MAX_HEADERS = 32
OPERATIONAL_ENDPOINT = 4
"""The endpoint number of events about webhooks themselves."""
OPERATIONAL = "operational"
"""What ``sources`` names them by."""

DEFAULT_SCHEDULE = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""Between the attempts of a delivery: ten of them, over three days."""
DEFAULT_DELIVERY_POLICY = RetryPolicy(max_attempts=len(DEFAULT_SCHEDULE) + 1, schedule=DEFAULT_SCHEDULE)

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"(?!\s)[^\x00-\x1f\x7f\ud800-\udfff]*(?<!\s)")
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-webhook-event",
        "x-webhook-hops",
        "x-webhook-signature",
    }
)
"""Headers that say what a delivery is: nobody else sets them. Nor those that begin with ``webhook-`` or ``proxy-``."""


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


def read_subscription_config(values: Mapping[str, Any]) -> SubscriptionConfig:
    """The config in ``values`` (as JSON gives them), with defaults for what is not there.

    Raises InvalidConfig naming every unknown key, wrong type and impossible value.
    """
    known = {entry.name for entry in fields(SubscriptionConfig)}
    problems = [(key, "unknown key") for key in values if key not in known]
    read: dict[str, Any] = {}
    for key in known & values.keys():
        try:
            read[key] = _READERS[key](values[key])
        except ValueError as error:
            problems.append((key, str(error)))
    if problems:
        raise InvalidConfig(sorted(problems))
    config = SubscriptionConfig(**read)
    if config.signature_header is not None and config.signature is not SignatureKind.HEX:
        raise InvalidConfig([("signature_header", "is for `signature: hex` only")])
    if config.fifo_key is not None and not config.fifo:
        raise InvalidConfig([("fifo_key", "is for `fifo: true` only")])
    return config


def show_subscription_config(config: SubscriptionConfig) -> dict[str, Any]:
    """The config as JSON gives it back."""
    shown = {entry.name: getattr(config, entry.name) for entry in fields(config)}
    return shown | {"headers": dict(config.headers)}


def stored_subscription_config(config: SubscriptionConfig) -> dict[str, Any]:
    """The config as it is stored: without what is as it is by default, as with endpoints (ADR 14)."""
    shown, defaults = show_subscription_config(config), show_subscription_config(SubscriptionConfig())
    return {key: value for key, value in shown.items() if value != defaults[key]}


def retry_of(config: SubscriptionConfig) -> RetryConfig:
    """How failed deliveries are tried again."""
    return RetryConfig() if config.retry_config is None else _retry_config(config.retry_config)


def _retry_config(values: Mapping[str, Any]) -> RetryConfig:
    """Raises ValueError for what cannot be."""
    unknown = values.keys() - {
        "max_retries",
        "initial_delay",
        "backoff_factor",
        "max_delay",
        "schedule",
        "retry_on",
    }
    if unknown:
        raise ValueError(f"has no {', '.join(sorted(unknown))}")
    if values.get("retry_on", "usual") not in ("usual", "any"):
        raise ValueError("retry_on must be `usual` or `any`")
    retries_any = values.get("retry_on") == "any"
    schedule = values.get("schedule")
    if schedule is not None:
        if values.keys() & {"max_retries", "initial_delay", "backoff_factor", "max_delay"}:
            raise ValueError("has either `schedule` or the other keys")
        if not isinstance(schedule, list | tuple) or len(schedule) >= MAX_ATTEMPTS:
            raise ValueError(f"schedule must be a list of at most {MAX_ATTEMPTS - 1} delays in seconds")
        delays = tuple(timedelta(seconds=_number(delay, 0, MAX_DELAY_S, "schedule")) for delay in schedule)
        return RetryConfig(RetryPolicy(max_attempts=len(delays) + 1, schedule=delays), retries_any)
    if not values.keys() & {"max_retries", "initial_delay", "backoff_factor", "max_delay"}:
        return RetryConfig(DEFAULT_DELIVERY_POLICY, retries_any)
    attempts = values.get("max_retries", DEFAULT_DELIVERY_POLICY.max_attempts)
    if not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= MAX_ATTEMPTS:
        raise ValueError(f"max_retries must be a whole number from 1 to {MAX_ATTEMPTS}: attempts in all")
    policy = RetryPolicy(
        max_attempts=attempts,
        initial_delay=timedelta(
            seconds=_number(values.get("initial_delay", 5), 0, MAX_DELAY_S, "initial_delay")
        ),
        backoff_factor=_number(values.get("backoff_factor", 2.0), 1, 100, "backoff_factor"),
        max_delay=timedelta(seconds=_number(values.get("max_delay", 86_400), 0, MAX_DELAY_S, "max_delay")),
    )
    return RetryConfig(policy, retries_any)


def _number(value: object, lowest: float, highest: float, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest:
        raise ValueError(f"{name}: must be a number from {lowest:g} to {highest:g}")
    return value


def _between(lowest: float, highest: float) -> Any:
    def read(value: object) -> float | None:
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError(f"must be null or a number from {lowest:g} to {highest:g}")
        return value

    return read


def _in_flight(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_IN_FLIGHT:
        raise ValueError(f"must be a whole number from 1 to {MAX_IN_FLIGHT}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - one kind of error for all that a value can be
    return value


def _text(value: object) -> str | None:
    if value is not None and not (isinstance(value, str) and value):
        raise ValueError("must be null or a text")
    return value


def _headers(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping) or len(value) > MAX_HEADERS:
        raise ValueError(f"must be an object of at most {MAX_HEADERS} texts")
    for name, text in value.items():
        if not isinstance(text, str) or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(text):
            raise ValueError(f"{name[:64]!r} is no header with a text of printable characters")
        lower = name.lower()
        if lower in _OWN_HEADERS or lower.startswith(("webhook-", "proxy-")):
            raise ValueError(f"{name} is set by the delivery itself")
    return dict(value)


def _header_name(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError("must be null or the name of a header")
    taken = _OWN_HEADERS - {"x-webhook-signature"} | {"webhook-id", "webhook-timestamp"}
    if value.lower() in taken or value.lower().startswith("proxy-"):
        raise ValueError(f"{value} is set by the delivery itself")
    return value


def _retry(value: object) -> Mapping[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("must be null or an object")  # noqa: TRY004 - as above
    _retry_config(value)
    return dict(value)


def _signature(value: object) -> SignatureKind:
    if not isinstance(value, str) or value not in list(SignatureKind):
        raise ValueError(f"must be one of {', '.join(SignatureKind)}")
    return SignatureKind(value)


_READERS: dict[str, Any] = {
    "filter": _text,
    "transform": _text,
    "headers": _headers,
    "timeout": _between(0.1, MAX_TIMEOUT_S),
    "retry_config": _retry,
    "rate_limit_per_second": _between(0.01, MAX_RATE_PER_SECOND),
    "max_in_flight": _in_flight,
    "fifo": _flag,
    "fifo_key": _text,
    "signature": _signature,
    "signature_header": _header_name,
    "credential": _text,
    "challenge": _flag,
}
