"""The recent refusals of each endpoint, so that "why does my webhook not arrive" has an answer.

Anybody can be refused any number of times, so what is kept between two flushes is bounded, for each endpoint and in
all. The statistics count every one.
"""

from __future__ import annotations

from collections import deque

from kanca.errors import DatabaseUnavailable
from kanca.ingest.ports import Store
from kanca.storage.rejections import Rejection

MAX_PER_ENDPOINT = 10
MAX_ENDPOINTS = 100


class Rejections:
    """Keeps refusals until they are stored: the latest of each endpoint, of so many endpoints."""

    def __init__(self, max_per_endpoint: int = MAX_PER_ENDPOINT, max_endpoints: int = MAX_ENDPOINTS) -> None:
        self._max_per_endpoint = max_per_endpoint
        self._max_endpoints = max_endpoints
        self._recent: dict[int, deque[Rejection]] = {}

    def has_room(self, endpoint: int) -> bool:
        """Whether a refusal of this endpoint would be kept."""
        return endpoint in self._recent or len(self._recent) < self._max_endpoints

    def add(self, rejection: Rejection) -> None:
        """Keep a refusal, if there is room for its endpoint."""
        recent = self._recent.get(rejection.endpoint)
        if recent is None:
            if not self.has_room(rejection.endpoint):
                return
            recent = self._recent[rejection.endpoint] = deque(maxlen=self._max_per_endpoint)
        recent.append(rejection)

    async def flush(self, store: Store) -> None:
        """Store what was kept since the last time; what cannot be stored gives way to what comes after it."""
        if not self._recent:
            return
        kept, self._recent = self._recent, {}
        try:
            await store.add_rejections([rejection for recent in kept.values() for rejection in recent])
        except DatabaseUnavailable:
            for endpoint, recent in self._recent.items():
                kept.setdefault(endpoint, deque(maxlen=self._max_per_endpoint)).extend(recent)
            self._recent = dict(list(kept.items())[-self._max_endpoints :])
            raise
