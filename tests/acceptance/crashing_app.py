"""The app of the crash test: a handler of what its workflow publishes."""

from __future__ import annotations

from typing import Any

from kanca import Event, Kanca
from tests.acceptance.app import leave_trace

hooks = Kanca()


@hooks.on("crash.done", source="published")
async def done(event: Event[Any]) -> None:
    """Leave a trace."""
    leave_trace(event.call_id, event.type, event.source_event_id)
