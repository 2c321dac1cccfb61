"""Events as tests need them: valid, and otherwise whatever."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from kanca.domain.ids import CALL, EVENT, derived_id, show_id, uuid7_int
from kanca.handlers.event import Event, Headers

WEBHOOK_ID = "wh_" + "0" * 24
RECEIVED_AT = datetime(2026, 1, 1, tzinfo=UTC)
EVENT_ID = UUID(int=uuid7_int(int(RECEIVED_AT.timestamp() * 1000), 0))


def make_event(
    event_type: str,
    data: Any,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    **fields: Any,
) -> Event[Any]:
    """An event as a handler gets it. ``body`` defaults to the data as JSON; ``fields`` are any others of ``Event``."""
    values: dict[str, Any] = {
        "id": show_id(EVENT, EVENT_ID),
        "type": event_type,
        "data": data,
        "body": msgspec.json.encode(data) if body is None else body,
        "headers": Headers(tuple((headers or {}).items())),
        "endpoint_id": WEBHOOK_ID,
        "provider": "generic",
        "tenant": "default",
        "source_event_id": None,
        "correlation_id": "test",
        "received_at": RECEIVED_AT,
        "attempt_number": 1,
        "call_id": show_id(CALL, derived_id(EVENT_ID, "test")),
    }
    return Event(**values | fields)
