"""Killing parts of a running server, again and again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

from tests.acceptance.processes import KancaProcess, eventually
from tests.servers.postgres import PostgresServer

Kill = Callable[[], None]


def kill_one(server: KancaProcess, kind: str, chance: random.Random) -> Kill:
    """Gives what kills any one of the running gateways or workers."""

    def kill() -> None:
        found = sorted(server.children(kind))
        if found:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(found), signal.SIGKILL)

    return kill


def restart(postgres: PostgresServer) -> Kill:
    """Gives what kills a PostgreSQL, and starts it again."""

    def kill() -> None:
        postgres.kill()
        postgres.start()

    return kill


def kill_all(server: KancaProcess) -> Kill:
    """Gives what kills everything of Kanca, and starts it again."""

    def kill() -> None:
        server.kill()
        server.start()

    return kill


async def kill_again_and_again(
    ways: Sequence[Kill], kills: int, requests: Callable[[], int], total: int, chance: random.Random
) -> None:
    """Kill something again and again before there are ``total`` requests: the ways have their turns."""
    goals = sorted(chance.randrange(total) for _ in range(kills))
    for number, goal in enumerate(goals):

        async def is_reached(goal: int = goal) -> bool:
            return requests() >= goal

        await eventually(is_reached, f"there are {goal} requests")
        await asyncio.to_thread(ways[number % len(ways)])
