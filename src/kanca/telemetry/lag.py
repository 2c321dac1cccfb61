"""How late an event loop is: what keeps it busy keeps everything else in its process waiting."""

from __future__ import annotations

import asyncio

from kanca.telemetry.metrics import LOOP_LAG

EVERY_S = 0.5


class LagMeter:
    """Measures the event loop that it is started on, again and again."""

    def __init__(self, process: str) -> None:
        """``process``: ``gateway`` or ``worker``."""
        self._observe = LOOP_LAG.labels(process).observe
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(loop.time() + EVERY_S, self._measure, loop, loop.time() + EVERY_S)

    def stop(self) -> None:
        """End."""
        if self._timer is not None:
            self._timer.cancel()

    def _measure(self, loop: asyncio.AbstractEventLoop, expected: float) -> None:
        self._observe(max(loop.time() - expected, 0.0))
        self._timer = loop.call_at(loop.time() + EVERY_S, self._measure, loop, loop.time() + EVERY_S)
