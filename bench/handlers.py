"""The handlers of the benchmarks: one that does nothing, and one that keeps a core busy."""

from __future__ import annotations

import time
from typing import Any

from kanca import Event, Kanca

BURN_S = 0.2

hooks = Kanca()


@hooks.on("charge.succeeded")
async def take(_event: Event[Any]) -> dict[str, bool]:
    """Do nothing, quickly."""
    return {"ok": True}


@hooks.on("burn.core")
def burn(_event: Event[Any]) -> None:
    """Keep a core busy without letting go of the interpreter."""
    until = time.thread_time() + BURN_S
    while time.thread_time() < until:
        pass
