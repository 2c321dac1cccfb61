"""Endpoints: inbound addresses and their config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from kanca.domain.answer import AnswerSpec

DEFAULT_RATE_LIMIT = 60
"""Requests a minute from one client, where nothing signs what is sent."""
METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET")
"""Those that an endpoint may take webhooks by."""
RESERVED_SLUGS = frozenset({"receive", "receive-content-hash", "resume", "subscriptions"})

RECEIVE_WEBHOOK_ID = "wh_000000000000000000000001"
"""The built-in endpoint behind ``/webhooks/receive``."""
RECEIVE_CONTENT_HASH_WEBHOOK_ID = "wh_000000000000000000000002"
"""The built-in endpoint behind ``/webhooks/receive-content-hash``."""
BUILT_IN_PATHS = {
    RECEIVE_WEBHOOK_ID: "/webhooks/receive",
    RECEIVE_CONTENT_HASH_WEBHOOK_ID: "/webhooks/receive-content-hash",
}
"""Where the built-in endpoints take webhooks. Their secret is a setting; unset, they are not there."""
RESUME_WEBHOOK_ID = "wh_000000000000000000000003"
"""The built-in endpoint behind ``/webhooks/resume/{token}``. It has no secret: the token proves who may."""
RESUME_ENDPOINT = 3
"""Its number."""
BUILT_IN_IDS = BUILT_IN_PATHS.keys() | {RESUME_WEBHOOK_ID}


class NodeBehavior(StrEnum):
    """What an event of the endpoint does at its workflow's node."""

    AUTO = "auto"
    START_ONLY = "start_only"
    TRIGGER_ONLY = "trigger_only"


class Dedupe(StrEnum):
    """What makes two arrivals the same event."""

    AUTO = "auto"
    """The provider's delivery id, else the envelope's ``event_id``, else an ``Idempotency-Key``, else nothing."""
    CONTENT = "content"
    """The SHA-256 of the body."""
    OFF = "off"


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """What a user sets on an endpoint."""

    authentication_required: bool = True
    allowed_event_types: tuple[str, ...] = ()
    """Exact types or wildcards (``order.*``); empty allows all."""
    max_payload_size: int = 1024
    """KB."""
    rate_limit_per_minute: int | None = None
    """Per endpoint and client; 0 is none. Unset: 60 for ``generic``, 0 for providers that sign."""
    webhook_timeout: int = 30
    """Seconds for one attempt of the work."""
    allowed_methods: tuple[str, ...] = ("POST",)
    enable_cors: bool = True
    cors_origins: tuple[str, ...] = ("*",)
    """Origins (``https://shop.example.com``) whose pages may send; ``*`` is all."""
    node_behavior: NodeBehavior = NodeBehavior.AUTO
    allowed_ips: tuple[str, ...] = ()
    dedupe: Dedupe = Dedupe.AUTO
    dedupe_window_days: int = 7
    dedupe_include: tuple[str, ...] = ()
    """With ``content``: dotted paths into the document; only what is there makes two arrivals the same event."""
    dedupe_exclude: tuple[str, ...] = ()
    """With ``content``: dotted paths into the document; what is there makes no difference."""
    redact_fields: tuple[str, ...] = ()
    """Dotted paths into the document: what is there is replaced before the event is stored."""
    answer: AnswerSpec | None = None
    """What the sender is answered when its event was accepted, or had been before; None is Kanca's own answer."""
    response_wait: float = 0
    """Seconds that the sender is held until the run that its event starts has answered; 0: it is not held."""
    response_timeout_status: int = 202
    """The status that it is answered with when the run has not answered by then."""
    filter: str | None = None
    """CEL over the event: where it is not true, the event is kept, and nothing is done for it."""
    payload_retention_days: int | None = None
    """How long bodies, headers and what was copied from them are kept; None: as the setting says."""
    indexed_fields: tuple[str, ...] = ()
    """Dotted paths into the document, by whose values events are found."""
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    """What is set about the provider: ``variant``, ``tolerance_seconds``, or how ``hmac`` signs."""
    provider_spec: Mapping[str, Any] | None = None
    """The spec of a provider of one's own, in place of one from the catalogue."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that is live until ``expires_at`` (None: until it is rotated)."""

    value: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An inbound address, secrets in clear (they are encrypted where it is stored)."""

    number: int
    webhook_id: str
    name: str
    slug: str | None
    provider: str
    tenant: str
    workflow_id: str | None
    node_id: str | None
    config: EndpointConfig
    secrets: tuple[Secret, ...] = field(repr=False)
    """What the sender signs with; the newest first. For ``generic`` the bearer tokens."""
    is_active: bool
    is_paused: bool
    created_at: datetime
    updated_at: datetime


class InvalidConfig(ValueError):
    """A config that cannot be; ``problems`` are ``(key, what is wrong)``."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{key}: {what}" for key, what in problems))


def effective_rate_limit(config: EndpointConfig, *, provider_signs: bool) -> int:
    """Requests a minute that one client may send; 0 is any number."""
    if config.rate_limit_per_minute is not None:
        return config.rate_limit_per_minute
    return 0 if provider_signs and config.authentication_required else DEFAULT_RATE_LIMIT
