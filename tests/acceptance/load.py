"""A steady load on a server, and what its senders saw."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from tests.acceptance.processes import WEBHOOK_SECRET, eventually

PAUSE_S = 0.02
"""Of each sender, between an answer and its next request."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer."""

    at: float
    took_s: float
    status: int
    has_retry_after: bool
    code: str


@dataclass
class Load:
    """Sends each event once, whatever is answered, and remembers the answers."""

    url: str
    prefix: str = "load"
    answers: list[Seen] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    """Connections that broke: no answer at all."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def until(self, status: int, since: float) -> float:
        """Wait for an answer with the status that came after the moment; gives when it came."""

        async def came() -> float | None:
            return next((seen.at for seen in self.answers if seen.status == status and seen.at > since), None)

        return float(await eventually(came, f"something is answered {status}"))

    def statuses(self) -> Counter[int]:
        """How often each status was answered."""
        return Counter(seen.status for seen in self.answers)

    def slowest_s(self) -> float:
        """How long the slowest answer took."""
        return max(seen.took_s for seen in self.answers)

    @asynccontextmanager
    async def running(self, senders: int) -> AsyncIterator[None]:
        """Send from so many connections while entered; every request is answered when it is left."""
        over = asyncio.Event()
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            tasks = [asyncio.create_task(self._send_on(session, over)) for _ in range(senders)]
            try:
                yield
            finally:
                over.set()
                await asyncio.gather(*tasks)

    async def _send_on(self, session: aiohttp.ClientSession, over: asyncio.Event) -> None:
        while not over.is_set():
            await self._send(session, f"{self.prefix}-{next(self._numbers)}")
            await asyncio.sleep(PAUSE_S)

    async def _send(self, session: aiohttp.ClientSession, name: str) -> None:
        body = json.dumps({"event_type": "load.test", "event_id": name, "timestamp": "now", "data": {}})
        signature = hmac.new(WEBHOOK_SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
        headers = {"X-Webhook-Signature": signature, "Content-Type": "application/json"}
        begun = time.monotonic()
        try:
            async with session.post(f"{self.url}/webhooks/receive", data=body, headers=headers) as response:
                said = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.errors.append(repr(error))
            return
        now = time.monotonic()
        has_retry_after = "Retry-After" in response.headers
        self.answers.append(Seen(now, now - begun, response.status, has_retry_after, said.get("code", "")))
        if response.status == 200:
            self.accepted.add(name)
