"""Several machines' worth of processes on one PostgreSQL and one Valkey, and senders that behave as real ones do."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.acceptance.processes import ROOT, WEBHOOK_SECRET, Client, KancaProcess, eventually

SENDERS = 12
PAUSE_S = 0.05
"""Between two events of one sender: the load is the same whatever the fleet can do."""
ANSWER_LIMIT_S = 30
SLOW_S = 0.5
"""An answer that took longer was disturbed."""
REFUSED = "no connection"
"""What a client sees of a gateway that is gone: a load balancer would ask the next one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One try of a sender."""

    at_s: float
    """When it was there, on the test's clock."""
    took_s: float
    gateway: str
    status: int | None
    """None: no answer, for the connection was not there or broke."""
    retry_after: str | None

    @property
    def is_well(self) -> bool:
        """The event is accepted."""
        return self.status == 200

    @property
    def is_disturbed(self) -> bool:
        """The client felt something."""
        return not self.is_well or self.took_s > SLOW_S

    @property
    def kind(self) -> str:
        """For counting."""
        return REFUSED if self.status is None else str(self.status)


@dataclass(slots=True)
class Disturbance:
    """Something that was done to the fleet, and what the clients saw of it."""

    name: str
    began_s: float
    caught_up_s: float = 0.0
    """Until all that had been accepted was done."""
    answers: list[Answer] = field(default_factory=list)

    @property
    def failures(self) -> Counter[str]:
        """What was answered but 200."""
        return Counter(answer.kind for answer in self.answers if not answer.is_well)

    @property
    def lasted_s(self) -> float:
        """From its beginning until the last answer that was another than 200, or slow."""
        felt = [answer.at_s for answer in self.answers if answer.is_disturbed]
        return max(felt, default=self.began_s) - self.began_s

    @property
    def slowest_s(self) -> float:
        """The longest that an accepted event took."""
        return max((answer.took_s for answer in self.answers if answer.is_well), default=0.0)

    def line(self) -> str:
        """For the report."""
        failures = ", ".join(f"{kind} × {count}" for kind, count in sorted(self.failures.items())) or "none"
        accepted = sum(answer.is_well for answer in self.answers)
        return (
            f"{self.name:<44} {accepted:>6} {self.lasted_s:>8.2f} {self.slowest_s:>8.2f}"
            f" {self.caught_up_s:>8.2f}  {failures}"
        )


HEADINGS = (
    f"{'disturbance':<44} {'200':>6} {'s felt':>8} {'slowest':>8} {'caught up':>9}"
    "  answers but 200 (each was tried again)"
)


class Senders:
    """Send events to all gateways in turn, each until it is accepted, as providers and load balancers do."""

    def __init__(self, gateways: list[str]) -> None:
        """``gateways``: their addresses. May be changed while senders run: it is what the load balancer knows."""
        self.gateways = gateways
        self.accepted: dict[str, str] = {}
        """Kanca's id of each event, by the sender's."""
        self.answers: list[Answer] = []
        self._next = 0
        self._is_over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWER_LIMIT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        self._tasks = [asyncio.create_task(self._send(number)) for number in range(SENDERS)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_over.set()
        await asyncio.gather(*self._tasks)
        await self._session.close()

    async def _send(self, sender: int) -> None:
        number = 0
        while not self._is_over.is_set():
            await self._until_accepted(f"s{sender}-{number}")
            number += 1
            await _pause(PAUSE_S)

    async def _until_accepted(self, event: str) -> None:
        while True:
            self._next += 1
            answer, said = await self._ask(self.gateways[self._next % len(self.gateways)], event)
            self.answers.append(answer)
            if answer.is_well:
                self.accepted[event] = said["id"]
                return
            await _pause(PAUSE_S)

    async def _ask(self, gateway: str, event: str) -> tuple[Answer, Any]:
        body = json.dumps({"event_type": "fleet.test", "event_id": event, "timestamp": "now", "data": {}})
        signature = hmac.new(WEBHOOK_SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
        headers = {"X-Webhook-Signature": signature, "Content-Type": "application/json"}
        began = time.monotonic()
        status, retry_after, said = None, None, None
        try:
            async with self._session.post(
                f"{gateway}/webhooks/receive", data=body, headers=headers
            ) as response:
                said = await response.json(content_type=None)
                status, retry_after = response.status, response.headers.get("Retry-After")
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        now = time.monotonic()
        return Answer(now, now - began, gateway, status, retry_after), said


class Fleet:
    """Its machines, senders that never stop, and what was done to it."""

    def __init__(self, senders: Senders, look: KancaProcess, settles_s: float) -> None:
        """``look``: a gateway that is asked about events. ``settles_s``: how long a disturbance is watched after it."""
        self.senders = senders
        self.look = look
        self.disturbances: list[Disturbance] = []
        self._settles_s = settles_s

    async def disturb(self, name: str, do: Callable[[], Awaitable[None]]) -> Disturbance:
        """Do something while the senders send, and watch until the fleet has caught up."""
        disturbance = Disturbance(name, time.monotonic())
        await do()
        done_s = time.monotonic()
        await eventually(lambda: self._flows(done_s), f"all gateways accept again after: {name}")
        await self._caught_up(name)
        disturbance.caught_up_s = time.monotonic() - disturbance.began_s
        await _pause(self._settles_s)
        disturbance.answers = [
            answer for answer in self.senders.answers if answer.at_s - answer.took_s >= disturbance.began_s
        ]
        self.disturbances.append(disturbance)
        return disturbance

    async def _flows(self, since_s: float) -> bool:
        """Whether every gateway has accepted something that was sent after that."""
        accepting = {
            answer.gateway
            for answer in self.senders.answers
            if answer.is_well and answer.at_s - answer.took_s > since_s
        }
        return accepting >= set(self.senders.gateways)

    async def _caught_up(self, name: str) -> None:
        """Wait until all that had been accepted by now has succeeded."""
        known = set(self.senders.accepted.values())
        async with Client(self.look) as client:

            async def is_done() -> bool:
                try:
                    page = await client.ask("GET", "/api/events?status=pending&limit=100")
                except (aiohttp.ClientError, AssertionError, TimeoutError):
                    return False
                return not page["next_cursor"] and known.isdisjoint(each["id"] for each in page["items"])

            await eventually(is_done, f"what was accepted is done after: {name}")

    def report(self) -> str:
        """A line for each disturbance."""
        return "\n".join(["", HEADINGS, *(each.line() for each in self.disturbances)])


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)  # senders have a pace; nothing is waited for


@dataclass(frozen=True, slots=True)
class Site:
    """What machines are made of."""

    url: str
    """Of the database."""
    directory: Path
    environ: dict[str, str]

    def machine(self, kind: str, name: str, sources: Path = ROOT / "src") -> KancaProcess:
        """A machine with a ``gateway`` or a ``worker`` and nothing else; ``sources``: its version of Kanca."""
        directory = self.directory / name
        directory.mkdir()
        nothing_else = "--workers" if kind == "gateway" else "--gateways"
        search = os.pathsep.join([str(sources), str(ROOT)])
        return KancaProcess(
            self.url, directory, nothing_else, "0", environ=self.environ | {"PYTHONPATH": search}
        )
