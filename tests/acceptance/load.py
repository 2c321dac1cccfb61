"""A steady load on gateways, by senders that behave as real ones do, and what they saw."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

from tests.acceptance.processes import eventually, signed_event

EVENT_TYPE = "load.test"
SENDERS = 12
PAUSE_S = 0.05
"""Between two requests of one sender: the load is the same whatever the gateways can do."""
ANSWER_LIMIT_S = 30
REFUSED = "no connection"
"""What a client sees of a gateway that is gone: a load balancer would ask the next one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One try of a sender."""

    sender: int
    gateway: str
    sent_s: float
    """On the test's clock."""
    at_s: float
    """When the answer was there."""
    status: int | None
    """None: no answer, for the connection was not there or broke."""
    retry_after: str | None
    event_id: str
    """Kanca's, when it is accepted."""
    code: str
    """Why it is refused."""

    @property
    def took_s(self) -> float:
        """How long the sender waited."""
        return self.at_s - self.sent_s

    @property
    def is_well(self) -> bool:
        """The event is accepted."""
        return self.status == 200

    @property
    def kind(self) -> str:
        """For counting."""
        return REFUSED if self.status is None else str(self.status)


def kinds(answers: Iterable[Answer]) -> Counter[str]:
    """How often there was which kind of answer."""
    return Counter(answer.kind for answer in answers)


class Senders:
    """Send events to all gateways in turn, each until it is accepted, as providers and load balancers do.

    A context manager: they send while it is entered. All they have sent is accepted when it is left.
    """

    def __init__(self, gateways: list[str], prefix: str = "s") -> None:
        """``gateways``: their addresses. May be changed while senders run: it is what the load balancer knows.

        ``prefix``: what the ids of the events begin with.
        """
        self.gateways = gateways
        self.accepted: dict[str, str] = {}
        """Kanca's id of each event, by the sender's."""
        self.answers: list[Answer] = []
        self._prefix = prefix
        self._next = 0
        self._is_over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_LIMIT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        self._tasks = [asyncio.create_task(self._send(number)) for number in range(SENDERS)]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._is_over.set()
        if kind is not None:  # perhaps nothing will ever be accepted again
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=kind is not None)
        await self._session.close()

    def sent_since(self, since_s: float) -> list[Answer]:
        """The answers to what was sent after that."""
        return [answer for answer in self.answers if answer.sent_s > since_s]

    async def all_are_answered(self, kind: str) -> None:
        """Wait until every sender has such an answer to something that it sends from now on."""
        since_s = time.monotonic()

        async def are_answered() -> bool:
            answered = {answer.sender for answer in self.sent_since(since_s) if answer.kind == kind}
            return len(answered) == SENDERS

        await eventually(are_answered, f"every sender is answered: {kind}")

    async def _send(self, sender: int) -> None:
        number = 0
        while not self._is_over.is_set():
            await self._until_accepted(sender, f"{self._prefix}{sender}-{number}")
            number += 1

    async def _until_accepted(self, sender: int, event: str) -> None:
        while event not in self.accepted:
            self._next += 1
            answer = await self._ask(sender, self.gateways[self._next % len(self.gateways)], event)
            self.answers.append(answer)
            if answer.is_well:
                self.accepted[event] = answer.event_id
            await asyncio.sleep(PAUSE_S)  # senders have a pace; nothing is waited for

    async def _ask(self, sender: int, gateway: str, event: str) -> Answer:
        request = signed_event(EVENT_TYPE, event)
        status: int | None = None
        retry_after: str | None = None
        said: dict[str, Any] = {}
        sent_s = time.monotonic()
        try:
            async with self._session.post(f"{gateway}/webhooks/receive", **request) as response:
                said = await response.json(content_type=None) or {}
                status, retry_after = response.status, response.headers.get("Retry-After")
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        return Answer(
            sender,
            gateway,
            sent_s,
            time.monotonic(),
            status,
            retry_after,
            event_id=said.get("id", ""),
            code=said.get("code", ""),
        )
