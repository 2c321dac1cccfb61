"""The app of the outbox's crash test: a handler of what orders publish."""

from __future__ import annotations

from typing import Any

from kanca import Event, Kanca
from tests.acceptance.app import leave_trace

hooks = Kanca()


@hooks.on("order.created", source="published")
async def created(event: Event[Any]) -> None:
    """Leave a trace."""
    leave_trace(event.call_id, event.type, str(event.data["id"]))
