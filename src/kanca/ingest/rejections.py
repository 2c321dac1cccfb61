"""The recent refusals of each endpoint, so that "why does my webhook not arrive" has an answer.

Anybody can be refused any number of times, so what is kept between two flushes is bounded, for each endpoint and in
all, and so is the work of finding out what was wrong. The statistics count every one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from msgspec import Struct

from kanca.errors import DatabaseUnavailable
from kanca.ingest.ports import Store
from kanca.storage.rejections import Rejection

log = structlog.get_logger(__name__)

MAX_PER_ENDPOINT = 10
MAX_ALIKE = 3
"""Refusals for the same cause, of the same client; those that follow are only counted with the last of them."""
MAX_ENDPOINTS = 100
MAX_DIAGNOSED = 3
"""Of all endpoints. One takes some 20 ms at most, in a thread beside the event loop."""
MAX_DIAGNOSED_BYTES = 1024 * 1024
"""Bodies beyond this are not kept for a diagnosis."""

Diagnose = Callable[[], str]


class _Kept(Struct):
    """A refusal that will be stored, for itself and those that it stands for."""

    rejection: Rejection
    diagnose: Diagnose | None
    """Finds better words for what was wrong; too slow to be waited for by whoever is refused."""
    count: int = 1


class Rejections:
    """Keeps refusals until they are stored: the first of each endpoint since the last flush, of so many endpoints."""

    def __init__(
        self,
        max_per_endpoint: int = MAX_PER_ENDPOINT,
        max_endpoints: int = MAX_ENDPOINTS,
        max_alike: int = MAX_ALIKE,
        max_diagnosed: int = MAX_DIAGNOSED,
    ) -> None:
        self._max_per_endpoint = max_per_endpoint
        self._max_endpoints = max_endpoints
        self._max_alike = max_alike
        self._max_diagnosed = max_diagnosed
        self._recent: dict[int, list[_Kept]] = {}
        self._unstored: dict[int, list[_Kept]] = {}
        """What a database that was away did not take."""
        self._undiagnosed = 0

    def add(
        self,
        endpoint: int,
        code: str,
        client: str,
        make: Callable[[], Rejection],
        diagnosis: Callable[[], Diagnose | None] = lambda: None,
    ) -> None:
        """Keep a refusal, if there is room for it; ``make`` and ``diagnosis`` are called only then."""
        if endpoint not in self._recent and len(self._recent) >= self._max_endpoints:
            return
        kept = self._recent.setdefault(endpoint, [])
        alike = [each for each in kept if each.rejection.code == code and each.rejection.client == client]
        if len(kept) < self._max_per_endpoint and len(alike) < self._max_alike:
            diagnose = diagnosis() if self._undiagnosed < self._max_diagnosed else None
            self._undiagnosed += diagnose is not None
            kept.append(_Kept(make(), diagnose))
        elif alike:
            alike[-1].count += 1

    async def flush(self, store: Store) -> None:
        """Store what was kept since the last time; what cannot be stored gives way to what comes after it."""
        for endpoint, recent in self._recent.items():
            self._unstored[endpoint] = [*self._unstored.get(endpoint, ()), *recent][-self._max_per_endpoint :]
        self._unstored = dict(list(self._unstored.items())[-self._max_endpoints :])
        self._recent, self._undiagnosed = {}, 0
        kept = [each for recent in self._unstored.values() for each in recent]
        if not kept:
            return
        if any(each.diagnose for each in kept):
            await asyncio.to_thread(_diagnose_all, kept)
        unstored, self._unstored = self._unstored, {}
        try:
            await store.add_rejections([replace(each.rejection, count=each.count) for each in kept])
        except DatabaseUnavailable:
            self._unstored = unstored
            raise


def _diagnose_all(kept: Sequence[_Kept]) -> None:
    for each in kept:
        if each.diagnose is not None:
            try:
                each.rejection = replace(each.rejection, detail=each.diagnose())
            except Exception:
                log.exception("diagnosis_failed", code=each.rejection.code)
            each.diagnose = None
