"""Things as tests need them: valid, and otherwise whatever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kanca.domain.event import NewEvent
from kanca.domain.ids import IdFactory

ids = IdFactory()


def new_event(**values: Any) -> NewEvent:
    """An event about to be accepted; ``values`` replace what does not matter."""
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "id": ids.new(),
        "endpoint": 100,
        "tenant": "default",
        "type": "order.created",
        "received_at": now,
        "source_event_id": None,
        "correlation_id": "cor-1",
        "request": b'{"method":"POST"}',
        "body": b'{"id":1}',
        "dedupe_key": None,
        "dedupe_until": None,
    } | values
    if fields["dedupe_key"] is not None and fields["dedupe_until"] is None:
        fields["dedupe_until"] = now + timedelta(days=7)
    return NewEvent(**fields)
