"""What closes the door to all webhooks for a while."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

Gate = Callable[[], str | None]
"""Says why nothing can be accepted now, as a refusal's code; None when it can. Asked for every request, so quick."""


REFRESH = timedelta(seconds=2)


class DiskGate:
    """Closed while there is too little free disk."""

    def __init__(self, path: Path, min_free_bytes: int) -> None:
        """``path`` is on the disk in question."""
        self._path = path
        self._min_free_bytes = min_free_bytes
        self._is_closed = False

    def __call__(self) -> str | None:
        """Say so, by what was seen last."""
        return "disk_full" if self._is_closed else None

    async def run_once(self) -> timedelta:
        """Look, and say when to look again. A disk that cannot be asked is left to those who write to it."""
        try:
            usage = await asyncio.to_thread(shutil.disk_usage, self._path)
        except OSError:
            return REFRESH
        self._is_closed = usage.free < self._min_free_bytes
        return REFRESH
