"""The app of the test of backups: a handler that is in hand until a file is there."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from kanca import Event, Kanca
from tests.acceptance.app import leave_trace
from tests.acceptance.processes import POLL_S

hooks = Kanca()
GATE = "GATE_FILE"


@hooks.on("quick.*")
async def take(event: Event[Any]) -> None:
    """Take it, and leave a trace."""
    leave_trace(event.call_id, event.type, event.source_event_id)


@hooks.on("slow.*", timeout=300)
async def hold(event: Event[Any]) -> None:
    """Leave a trace, and end once the gate is open."""
    leave_trace(event.call_id, event.type, event.source_event_id)
    while not Path(os.environ[GATE]).exists():  # noqa: ASYNC110, ASYNC240 - the test is another process
        await asyncio.sleep(POLL_S)
