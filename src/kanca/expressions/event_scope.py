"""What expressions see of an event that was received or published: ``event``, wherever they stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kanca.bodies import event_data, headers_in
from kanca.domain.event import StoredEvent
from kanca.domain.ids import EVENT, show_id


def stored_event_scope(event: StoredEvent) -> dict[str, Any]:
    """``event``, of one that was received or published."""
    return {
        "id": show_id(EVENT, event.id),
        "type": event.type,
        "data": event_data(event),
        "source_event_id": event.source_event_id,
        "correlation_id": event.correlation_id,
        "received_at": event.received_at.isoformat(),
        "headers": _headers(headers_in(event.request)),
    }


def _headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers
