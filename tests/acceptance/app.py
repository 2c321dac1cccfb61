"""The app that the real server runs in acceptance tests: handlers that leave a trace in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kanca import Event, Kanca

hooks = Kanca()


def leave_trace(*words: object) -> None:
    """Append one line in one write: call id, event type, the sender's id."""
    with Path(os.environ["CALLS_FILE"]).open("ab", buffering=0) as file:
        file.write(" ".join(map(str, words)).encode() + b"\n")


@hooks.on("*")
async def take(event: Event[Any]) -> dict[str, Any]:
    """Take anything, and leave a trace."""
    leave_trace(event.call_id, event.type, event.source_event_id)
    return {"took": event.type}


@hooks.node("Trace")
async def trace(step: Any, _config: Any) -> dict[str, Any]:
    """A node that leaves a trace."""
    leave_trace(step.call_id, "node", step.node_id)
    return {"traced": step.node_id}
