"""Events: what was received, kept as it was, and what it is read as."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

DEFAULT_TYPE = "webhook.received"
ENVELOPE_KEYS = frozenset({"event_type", "event_id", "data", "source", "timestamp", "correlation_id"})

MAX_TYPE_LENGTH = 256
MAX_SOURCE_ID_LENGTH = 512


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event about to be accepted. Immutable from here on."""

    id: UUID
    endpoint: int
    """The endpoint's number; 0 for published events."""
    tenant: str
    type: str
    received_at: datetime
    source_event_id: str | None
    correlation_id: str
    request: bytes
    """How it came, as JSON: ``{"method", "path", "ip", "user_agent", "headers", "authenticated", "test"}``."""
    body: bytes
    """The exact bytes after HTTP content decoding, which are what the signature was checked on."""
    dedupe_key: UUID | None
    """128 bits of SHA-256 over endpoint and key; None when the endpoint does not dedupe it."""
    dedupe_until: datetime | None
    replay_of: UUID | None = None


@dataclass(slots=True)
class StoredEvent:
    """An event as a worker or the API reads it. Not frozen, only because making it is then four times as fast."""

    id: UUID
    endpoint: int
    tenant: str
    type: str
    received_at: datetime
    source_event_id: str | None
    correlation_id: str
    request: bytes
    body: bytes
    replay_of: UUID | None


def as_stored(event: NewEvent) -> StoredEvent:
    """The event as it will be read."""
    return StoredEvent(
        id=event.id,
        endpoint=event.endpoint,
        tenant=event.tenant,
        type=event.type,
        received_at=event.received_at,
        source_event_id=event.source_event_id,
        correlation_id=event.correlation_id,
        request=event.request,
        body=event.body,
        replay_of=event.replay_of,
    )


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event and its dispatch task are on disk."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The key is taken: nothing was written, the original stands."""

    original: UUID


Appended = Accepted | Duplicate


def is_name(value: object, longest: int) -> bool:
    """Whether a value can be a type or an id: text, neither empty nor too long, without NUL, surrogates or the like."""
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def is_envelope(body: object) -> bool:
    """Whether a parsed body is an envelope.

    That is a JSON object with a string ``event_type``, ``data`` absent or an object, and no other top-level keys.
    """
    # Dictionaries, not mappings in general: JSON gives nothing else, and asking for those costs 2 µs on the hot path.
    return (
        isinstance(body, dict)
        and isinstance(body.get("event_type"), str)
        and isinstance(body.get("data", {}), dict)
        and body.keys() <= ENVELOPE_KEYS
    )


def data_of(body: Any) -> Any:
    """The data of an event: an envelope's ``data``, else the whole body."""
    return body.get("data", {}) if is_envelope(body) else body
