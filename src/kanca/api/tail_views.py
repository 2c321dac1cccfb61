"""What a tail sends, as server-sent events (the HTML standard, section 9.2)."""

from __future__ import annotations

from typing import Any

import msgspec

from kanca.api.answers import error_message
from kanca.api.event_views import folded_headers, payload_fields
from kanca.api.tail_filter import source_of
from kanca.api.tail_watching import Ended
from kanca.domain.ids import EVENT, show_id
from kanca.storage.feed import FeedEvent
from kanca.storage.rejections import RejectionAt

KEEP_ALIVE = b": still here\n"


def show_event(found: FeedEvent, *, with_payload: bool, with_request: bool) -> bytes:
    """A new event. Its place in the feed is the message's id."""
    event, endpoint = found.event, found.endpoint
    request = msgspec.json.decode(event.request)
    shown: dict[str, Any] = {
        "id": show_id(EVENT, event.id),
        "event_type": event.type,
        "source": source_of(found),
        "webhook_id": endpoint.webhook_id if endpoint else None,
        "endpoint_name": endpoint.name if endpoint else None,
        "provider": endpoint.provider if endpoint else None,
        "tenant": event.tenant,
        "source_event_id": event.source_event_id,
        "correlation_id": event.correlation_id,
        "received_at": event.received_at,
        "body_bytes": found.body_bytes,
        "is_authenticated": request.get("authenticated", False),
        "is_test": request.get("test", False),
        "replay_of": show_id(EVENT, event.replay_of) if event.replay_of else None,
    }
    if with_payload:
        shown |= payload_fields(event, is_omitted=not found.is_whole)
    if with_request:
        shown |= {
            "request_method": request.get("method"),
            "request_path": request.get("path"),
            "request_headers": folded_headers(request.get("headers", ())),
            "source_ip": request.get("ip"),
        }
    return _message("event", shown, found.number)


def show_ending(found: Ended) -> bytes:
    """How an event ended that was shown."""
    ending = found.ending
    shown = {
        "id": show_id(EVENT, ending.event_id),
        "event_type": found.event_type,
        "webhook_id": found.webhook_id,
        "tenant": found.tenant,
        "status": ending.status,
        "processed_at": ending.ended_at,
        "reason": ending.reason,
        "error_message": error_message(ending.error) if ending.error else None,
    }
    return _message("outcome", shown)


def show_rejection(found: RejectionAt) -> bytes:
    """A refused request."""
    refused = found.rejection
    shown = {
        "webhook_id": found.webhook_id,
        "provider": found.provider,
        "tenant": found.tenant,
        "occurred_at": refused.occurred_at,
        "status": refused.status,
        "code": refused.code,
        "detail": refused.detail,
        "client": refused.client,
        "count": refused.count,
    }
    return _message("rejection", shown)


def show_gap(reason: str, **facts: Any) -> bytes:
    """Something that is not shown."""
    return _message("gap", {"reason": reason, **facts})


def with_place(message: bytes, number: int, place: str) -> bytes:
    """The message of an event, which has its number as its place, with that told in other words."""
    return b"id: %b\n" % place.encode() + message.removeprefix(b"id: %d\n" % number)


def show_place(place: str) -> bytes:
    """No message, but from where to go on: whoever shows nothing for a long time must not begin there again."""
    return b"id: %b\n\n" % place.encode()


def _message(kind: str, data: dict[str, Any], place: int | None = None) -> bytes:
    encoded = msgspec.json.encode(data)
    # A stored JSON text is passed on as it came, which may be on several lines.
    lines = b"".join(b"data: %b\n" % line for line in encoded.splitlines())
    head = b"" if place is None else b"id: %d\n" % place
    return b"%bevent: %b\n%b\n" % (head, kind.encode(), lines)
