"""What a row of the outbox says, and the event that it becomes. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from kanca.domain.event import NewEvent
from kanca.errors import InvalidEvent, PayloadTooLarge
from kanca.outbound.publishing import WINDOW, data_text, published_event
from kanca.storage.types import from_microseconds, to_microseconds

PUBLISHED_BY = "outbox"


def columns_of(event: NewEvent, hops: int) -> dict[str, Any]:
    """The row of an event that ``published_event`` made, in values that every driver writes: texts, numbers, bytes."""
    return {
        "id": event.id.hex,
        "event_type": event.type,
        "payload": data_text(event),
        "tenant": event.tenant,
        "event_id": event.source_event_id,
        "correlation_id": event.correlation_id,
        "hops": hops,
        "created_at": to_microseconds(event.received_at),
    }


def event_of(row: Mapping[str, Any], now: datetime) -> NewEvent:
    """The published event that a row becomes, whoever wrote the row. Its id is the row's.

    So a row that is moved twice is one event, whatever died in between: by the dedupe key within the window, by the
    event's primary key for as long as the event is kept. Raises InvalidEvent, saying what is wrong with the row.
    """
    _check_types(row)
    try:
        event = published_event(
            _identifier(row["id"]),
            from_microseconds(row["created_at"]),
            event_type=row["event_type"],
            payload=row["payload"],
            by=PUBLISHED_BY,
            tenant=row["tenant"],
            event_id=row["event_id"],
            correlation_id=row["correlation_id"],
            hops=row["hops"],
        )
    except OverflowError:
        raise InvalidEvent("created_at is no moment") from None
    except PayloadTooLarge as error:
        raise InvalidEvent(error.detail) from None
    return replace(event, dedupe_key=event.dedupe_key or row_key(event.id), dedupe_until=now + WINDOW)


def row_key(identifier: UUID) -> UUID:
    """What the event of a row without an id of the publisher's own is recognised by."""
    return UUID(bytes=hashlib.sha256(b"outbox\x00" + identifier.bytes).digest()[:16])


def _identifier(written: object) -> UUID:
    try:
        return written if isinstance(written, UUID) else UUID(hex=str(written))
    except ValueError:
        raise InvalidEvent("id is no UUID") from None


def _check_types(row: Mapping[str, Any]) -> None:
    """SQLite takes anything in any column."""
    for name, kind in _KINDS.items():
        value = row[name]
        if not isinstance(value, kind) and not (value is None and name == "event_id"):
            raise InvalidEvent(f"{name} is of a wrong kind")


_KINDS: Mapping[str, type] = {
    "event_type": str,
    "payload": bytes,
    "tenant": str,
    "event_id": str,
    "correlation_id": str,
    "hops": int,
    "created_at": int,
}
