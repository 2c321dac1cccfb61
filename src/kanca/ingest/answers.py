"""The bodies of 200s, put together from bytes: a JSON encoder would cost more than all that is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from msgspec import Struct
from msgspec.json import encode
from msgspec.structs import replace

from kanca.domain.event import NewEvent
from kanca.domain.status import EventStatus
from kanca.ingest.prepared import Prepared
from kanca.ingest.reading import Reading


class Original(Struct, frozen=True):
    """The event that a duplicate is a duplicate of, and what became of it."""

    id: UUID
    correlation_id: str
    received_at: datetime
    status: EventStatus
    processed_at: datetime | None
    """When the last of its work ended; None while any is open."""
    result: bytes
    """What its work returned, as JSON; ``null`` when it returned nothing or is open."""
    is_retried: bool = False
    """It was dead, and the duplicate's arrival began it again."""

    def begun_again(self) -> Original:
        """As it is once its dead work has been begun again."""
        return replace(self, status=EventStatus.PENDING, processed_at=None, result=b"null", is_retried=True)


Accept = Callable[[Prepared, NewEvent, Reading], bytes]
Repeat = Callable[[Prepared, Original, Reading], bytes]


def show_instant(moment: datetime) -> bytes:
    """A moment in UTC, as RFC 3339."""
    return moment.isoformat().encode()[:-6] + b"Z"


def accepted(endpoint: Prepared, event: NewEvent, _reading: Reading) -> bytes:
    """An endpoint's answer to a new event."""
    return (
        b'{"success":true,"message":"Webhook accepted","webhook_id":"%b","event_id":"evt_%b","status":"accepted",'
        b'"received_at":"%b","correlation_id":%b}'
        % (
            endpoint.webhook_id.encode(),
            event.id.hex.encode(),
            show_instant(event.received_at),
            encode(event.correlation_id),
        )
    )


def repeated(endpoint: Prepared, original: Original, _reading: Reading) -> bytes:
    """An endpoint's answer to a duplicate: what became of the original."""
    return (
        b'{"success":true,"message":"%b","webhook_id":"%b","event_id":"evt_%b","status":"duplicate",'
        b'"received_at":"%b","correlation_id":%b,"event_status":"%b","processed_at":%b,"result":%b,"retried":%b}'
        % (
            b"Accepted before; its failed work is tried again" if original.is_retried else b"Accepted before",
            endpoint.webhook_id.encode(),
            original.id.hex.encode(),
            show_instant(original.received_at),
            encode(original.correlation_id),
            original.status.encode(),
            _instant_or_null(original.processed_at),
            original.result,
            encode(original.is_retried),
        )
    )


def accepted_by_id(_endpoint: Prepared, event: NewEvent, _reading: Reading) -> bytes:
    """The answer of ``/webhooks/receive`` to a new event."""
    return b'{"status":"accepted","event_id":%b,"id":"evt_%b","received_at":"%b"}' % (
        encode(event.source_event_id),
        event.id.hex.encode(),
        show_instant(event.received_at),
    )


def repeated_by_id(_endpoint: Prepared, original: Original, reading: Reading) -> bytes:
    """The answer of ``/webhooks/receive`` to a duplicate."""
    state = b"already_accepted" if original.processed_at is None else b"already_processed"
    return b'{"status":"%b","event_id":%b,%b}' % (
        state,
        encode(reading.source_event_id),
        _what_became_of(original),
    )


def accepted_by_hash(_endpoint: Prepared, event: NewEvent, reading: Reading) -> bytes:
    """The answer of ``/webhooks/receive-content-hash`` to a new event."""
    return b'{"status":"accepted","content_hash":"%b","id":"evt_%b","received_at":"%b"}' % (
        reading.content_hash.encode(),
        event.id.hex.encode(),
        show_instant(event.received_at),
    )


def repeated_by_hash(_endpoint: Prepared, original: Original, reading: Reading) -> bytes:
    """The answer of ``/webhooks/receive-content-hash`` to a duplicate."""
    return b'{"status":"duplicate_detected","content_hash":"%b",%b}' % (
        reading.content_hash.encode(),
        _what_became_of(original),
    )


def accepted_resume(_endpoint: Prepared, event: NewEvent, _reading: Reading) -> bytes:
    """The answer of a resume address to the first who used it."""
    return b'{"status":"accepted","event_id":"evt_%b"}' % event.id.hex.encode()


def repeated_resume(_endpoint: Prepared, original: Original, _reading: Reading) -> bytes:
    """The answer of a resume address that had been used before."""
    return b'{"status":"duplicate","event_id":"evt_%b"}' % original.id.hex.encode()


def _what_became_of(original: Original) -> bytes:
    return (
        b'"id":"evt_%b","received_at":"%b","event_status":"%b","processed_at":%b,"result":%b,"retried":%b'
        % (
            original.id.hex.encode(),
            show_instant(original.received_at),
            original.status.encode(),
            _instant_or_null(original.processed_at),
            original.result,
            encode(original.is_retried),
        )
    )


def _instant_or_null(moment: datetime | None) -> bytes:
    return b"null" if moment is None else b'"%b"' % show_instant(moment)
