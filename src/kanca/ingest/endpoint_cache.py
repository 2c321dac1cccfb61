"""Endpoints in memory, prepared for the hot path, each loaded when it is first asked for.

Whoever changes an endpoint moves the version of all endpoints on in the same transaction. Every process looks at it
twice a second, and drops what it holds when it has moved. While the database is away nothing moves, and what is known
is used on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import structlog

from kanca.domain.endpoint import Endpoint
from kanca.errors import CommitQueueFull, ConfigUnreadable, DatabaseUnavailable, InvalidSetting, KancaError
from kanca.ingest.ports import Store
from kanca.ingest.prepared import Prepared, prepare
from kanca.ingest.refusal import CONFIG_UNREADABLE, Refusal
from kanca.providers import Catalogue
from kanca.queue.group_commit import GroupCommit

T = TypeVar("T")

log = structlog.get_logger(__name__)

REFRESH = timedelta(milliseconds=400)
MAX_KNOWN = 10_000
MAX_UNKNOWN = 10_000
"""Addresses without an endpoint that are remembered, so that asking for them again costs no query."""

_NOT_FOUND = Refusal("endpoint_not_found")
_UNUSABLE = Refusal("endpoint_unusable")
_WRONG_PROVIDER = "the endpoint's provider is unknown here, or its spec or options are not valid"


class EndpointCache:
    """Finds endpoints by their keys (``wh_…``, or ``/`` and a slug)."""

    def __init__(
        self,
        store: Store,
        timeout: timedelta,
        catalogue: Catalogue,
        max_known: int = MAX_KNOWN,
        max_unknown: int = MAX_UNKNOWN,
        redacted_headers: frozenset[bytes] = frozenset(),
        retention: timedelta = timedelta.max,
    ) -> None:
        """``timeout`` is the longest that a request waits for its endpoint; ``retention``: as ``prepare`` has it."""
        self._retention = retention
        self._redacted_headers = redacted_headers
        self._store = store
        self._catalogue = catalogue
        self._max_known = max_known
        self._max_unknown = max_unknown
        self._known: dict[str, Prepared] = {}
        self._unknown: dict[str, Refusal] = {}
        self._version: int | None = None
        self._generation = 0
        # All who look for endpoints at once share a query: a flood of wrong addresses makes one at a time.
        self._loads = GroupCommit[str, Prepared | Refusal](self._load, timeout=timeout, max_batch=100)

    def known(self, key: str) -> Prepared | None:
        """The endpoint, if it is in memory."""
        return self._known.get(key)

    async def find(self, key: str) -> Prepared | Refusal:
        """The endpoint, loaded if need be; or that there is none. Raises DatabaseUnavailable, CommitTimeout."""
        found = self._known.get(key) or self._unknown.get(key)
        if found is not None:
            return found
        try:
            return await self._loads.submit(key)
        except CommitQueueFull:
            raise DatabaseUnavailable from None

    async def run_once(self) -> timedelta:
        """Drop everything if any endpoint has changed since the last time; gives when to look again."""
        try:
            version = await self._store.endpoints_version()
        except DatabaseUnavailable:
            # Not a failed duty, after which the pauses would grow: the first change after an outage counts as well.
            return REFRESH
        if version != self._version:
            self._version = version
            self._generation += 1
            self._known.clear()
            self._unknown.clear()
        return REFRESH

    async def close(self) -> None:
        """End the loading that is under way."""
        await self._loads.close(timedelta(0))

    async def _load(self, keys: Sequence[str]) -> Sequence[Prepared | Refusal | Exception]:
        generation = self._generation
        loaded = await self._read(sorted(set(keys)))
        if generation == self._generation:  # else this may be older than the change that moved the version on
            for key, found in loaded.items():
                if isinstance(found, Prepared):
                    _put(self._known, key, found, self._max_known)
                else:
                    _put(self._unknown, key, found, self._max_unknown)
        return [loaded[key] for key in keys]

    async def _read(self, keys: Sequence[str]) -> dict[str, Prepared | Refusal]:
        """Each of them; one whose secrets or config cannot be read is the trouble of its own senders alone."""
        try:
            endpoints = await self._store.find_endpoints(keys)
        except (InvalidSetting, ConfigUnreadable, ValueError) as error:
            if len(keys) > 1:
                alone = [await self._read([key]) for key in keys]
                return {key: found for each in alone for key, found in each.items()}
            log.exception("endpoint_unusable", endpoint=keys[0])
            return {keys[0]: _unusable_for(error)}
        return {key: self._prepared(endpoints.get(key)) for key in keys}

    def _prepared(self, endpoint: Endpoint | None) -> Prepared | Refusal:
        if endpoint is None or not endpoint.is_active:
            return _NOT_FOUND
        try:
            return prepare(endpoint, self._catalogue, self._redacted_headers, self._retention)
        except (KancaError, ValueError):
            log.exception("endpoint_unusable", webhook_id=endpoint.webhook_id)
            return Refusal("endpoint_unusable", note=_WRONG_PROVIDER, endpoint=endpoint.number)


def _unusable_for(error: Exception) -> Refusal:
    if not isinstance(error, ConfigUnreadable):
        return _UNUSABLE
    # What is not known may be a restriction: nothing is taken without it, and senders come again.
    return Refusal("endpoint_unusable", cause=CONFIG_UNREADABLE, note=error.detail, endpoint=error.number)


def _put(entries: dict[str, T], key: str, value: T, most: int) -> None:
    while len(entries) >= most:
        del entries[next(iter(entries))]
    entries[key] = value
