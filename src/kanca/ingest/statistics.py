"""Statistics of endpoints, added up in memory by minute and stored about once a second.

Outside the accepting transaction: a counter that every accept updates would be a row that every process waits for. A
crash loses the last second of them.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from kanca.errors import DatabaseUnavailable
from kanca.ingest.ports import Store
from kanca.storage.statistics import Counted

MAX_TALLIES = 20_000
"""Endpoints and minutes that are kept while the database is away; above that the oldest are given up."""


class _Tally(Struct):
    """What an endpoint answered within one minute."""

    endpoint: int
    at: datetime
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    response_us: int = 0
    last_accepted_at: datetime | None = None


class Statistics:
    """Counts what endpoints answer."""

    def __init__(self, max_tallies: int = MAX_TALLIES) -> None:
        self._max_tallies = max_tallies
        self._tallies: dict[tuple[int, int], _Tally] = {}

    def accepted(self, endpoint: int, received_at: datetime, response_us: int) -> None:
        """Count a new event."""
        tally = self._tally(endpoint, received_at)
        tally.accepted += 1
        tally.response_us += response_us
        tally.last_accepted_at = received_at

    def repeated(self, endpoint: int, received_at: datetime, response_us: int) -> None:
        """Count a duplicate."""
        tally = self._tally(endpoint, received_at)
        tally.duplicates += 1
        tally.response_us += response_us

    def rejected(self, endpoint: int, received_at: datetime) -> None:
        """Count a refusal."""
        self._tally(endpoint, received_at).rejected += 1

    async def flush(self, store: Store) -> None:
        """Store what was counted since the last time. What cannot be stored is kept for the next."""
        if not self._tallies:
            return
        tallies, self._tallies = self._tallies, {}
        try:
            await store.add_statistics([_counted(tally) for tally in tallies.values()])
        except DatabaseUnavailable:
            counted_meanwhile, self._tallies = self._tallies, tallies
            for key, tally in counted_meanwhile.items():
                self._put_back(key, tally)
            raise

    def _tally(self, endpoint: int, moment: datetime) -> _Tally:
        key = (endpoint, int(moment.timestamp()) // 60)
        tally = self._tallies.get(key)
        if tally is None:
            self._make_room()
            tally = self._tallies[key] = _Tally(endpoint, moment)
        return tally

    def _put_back(self, key: tuple[int, int], later: _Tally) -> None:
        tally = self._tallies.get(key)
        if tally is None:
            self._make_room()
            self._tallies[key] = later
            return
        tally.accepted += later.accepted
        tally.duplicates += later.duplicates
        tally.rejected += later.rejected
        tally.response_us += later.response_us
        tally.last_accepted_at = later.last_accepted_at or tally.last_accepted_at

    def _make_room(self) -> None:
        while len(self._tallies) >= self._max_tallies:
            del self._tallies[next(iter(self._tallies))]


def _counted(tally: _Tally) -> Counted:
    return Counted(
        endpoint=tally.endpoint,
        at=tally.at,
        accepted=tally.accepted,
        duplicates=tally.duplicates,
        rejected=tally.rejected,
        response_us=tally.response_us,
        last_accepted_at=tally.last_accepted_at,
    )
