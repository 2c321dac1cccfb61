"""Several machines' worth of processes on one PostgreSQL and one Valkey, and what is done to them."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.acceptance.load import Answer, Senders, kinds
from tests.acceptance.processes import ROOT, Client, KancaProcess, eventually

SLOW_S = 0.5
"""An answer that took longer was disturbed."""


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
        return kinds(answer for answer in self.answers if not answer.is_well)

    @property
    def lasted_s(self) -> float:
        """From its beginning until the last answer that was another than 200, or slow."""
        felt = [answer.at_s for answer in self.answers if not answer.is_well or answer.took_s > SLOW_S]
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
        await asyncio.sleep(self._settles_s)  # what comes late is seen, too
        disturbance.answers = self.senders.sent_since(disturbance.began_s)
        self.disturbances.append(disturbance)
        return disturbance

    async def _flows(self, since_s: float) -> bool:
        """Whether every gateway has accepted something that was sent after that."""
        accepting = {answer.gateway for answer in self.senders.sent_since(since_s) if answer.is_well}
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
