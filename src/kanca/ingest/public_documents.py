"""Public documents of providers: certificates and sets of keys that signatures are checked with.

Fetched when a signature first needs one, and kept for an hour. What may be asked for is pinned by the provider's spec;
what is kept, how often it is fetched anew and how long a fetch may take is bounded here, so that no sender of forged
requests can make a gateway do more than a little.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from msgspec import Struct

from kanca.errors import EgressError, EgressRefused

log = structlog.get_logger(__name__)

Get = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Sends a GET, bounded in time and size, and gives status and body. Raises EgressError."""


async def nowhere(_url: str) -> tuple[int, bytes]:
    """A ``Get`` that reaches nobody."""
    raise EgressRefused("This process reaches nobody.", reason="closed")


KEPT_FOR = timedelta(hours=1)
RETRIED_AFTER = timedelta(seconds=30)
"""How long a failure stands, and how often a document is fetched anew because it lacks a key."""
MAX_DOCUMENTS = 100
MAX_FETCHES = 20
"""In ``RETRIED_AFTER``: a pattern fits any number of addresses, and each of them would be asked of the provider."""


class _Kept(Struct):
    document: bytes | None
    fetched_at: float


class PublicDocuments:
    """The documents that one process has fetched."""

    def __init__(self, get: Get, now: Callable[[], float] = time.monotonic) -> None:
        """``now`` gives seconds."""
        self._get = get
        self._now = now
        self._kept: dict[str, _Kept] = {}
        self._fetching: dict[str, asyncio.Task[bytes | None]] = {}
        self._begun: deque[float] = deque(maxlen=MAX_FETCHES)
        """When the last fetches began."""

    async def get(self, url: str, *, is_outdated: bool = False) -> bytes | None:
        """The document at a URL; None when it cannot be had now.

        ``is_outdated`` asks for a newer copy than the one that is kept; it is fetched, but not again and again.
        """
        kept = self._kept.get(url)
        if kept is not None:
            age = self._now() - kept.fetched_at
            lasts = RETRIED_AFTER if kept.document is None or is_outdated else KEPT_FOR
            if age < lasts.total_seconds():
                return kept.document
        fetching = self._fetching.get(url)
        if fetching is None:
            if not self._may_fetch():
                log.warning("public_document_not_fetched", url=url)
                return None if kept is None else kept.document
            fetching = self._fetching[url] = asyncio.create_task(self._fetch(url, kept))
            fetching.add_done_callback(lambda _task: self._fetching.pop(url, None))
        # All that wait share the one fetch, and none of them ends it by going away.
        return await asyncio.shield(fetching)

    async def _fetch(self, url: str, kept: _Kept | None) -> bytes | None:
        document = None
        try:
            status, body = await self._get(url)
            document = body if status == 200 else None
            if document is None:
                log.warning("public_document_unavailable", url=url, status=status)
        except EgressError as error:
            log.warning("public_document_unavailable", url=url, error=error.detail)
        if document is None and kept is not None:
            document = kept.document  # an old certificate may still do, and its own dates are checked
        self._kept.pop(url, None)
        while len(self._kept) >= MAX_DOCUMENTS:
            del self._kept[self._least_useful()]
        self._kept[url] = _Kept(document, self._now())
        return document

    def _may_fetch(self) -> bool:
        """Whether the provider may be asked once more; then it counts."""
        now = self._now()
        is_full = len(self._begun) == MAX_FETCHES
        if is_full and now - self._begun[0] < RETRIED_AFTER.total_seconds():
            return False
        self._begun.append(now)
        return True

    def _least_useful(self) -> str:
        """The oldest failure, else the oldest document: naming what is not there drives out nothing in use."""
        failed = (url for url, kept in self._kept.items() if kept.document is None)
        return next(failed, None) or next(iter(self._kept))
