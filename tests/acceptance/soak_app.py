"""The app of the soak: it cleans up every few seconds, for days pass in half a minute there."""

from __future__ import annotations

from datetime import timedelta

from kanca.queue.cleaner import Cleaner
from tests.acceptance.app import hooks

__all__ = ["hooks"]

CLEANS_EVERY = timedelta(seconds=4)

_clean = Cleaner.run_once


async def _clean_often(self: Cleaner) -> timedelta:
    await _clean(self)
    return CLEANS_EVERY


Cleaner.run_once = _clean_often  # type: ignore[method-assign]  # nothing else has a reason to set this
