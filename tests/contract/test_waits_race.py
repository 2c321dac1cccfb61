"""Events arrive at the moment at which runs begin to wait for them, in processes that know nothing of each other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kanca.domain.status import WaitStatus
from kanca.domain.task import TaskState, Wait
from kanca.storage import matching
from kanca.storage.dialects import open_database
from kanca.storage.ports import Database
from kanca.storage.seeking import Arrival, Early, Opening, Taken
from kanca.storage.tables import early_events, waits
from tests.queueing import register, rows, said
from tests.waiting import HOUR, arrival, dispatches_at_work, opening, runs_at_work

PAIRS = 1_000
NEAR = 20
AT_ONCE = 4
TRANSACTION = 5
"""Pairs that share one: who locks several mailboxes must not lock out who locks them in another order."""


async def test_whoever_comes_first_every_event_finds_its_run(database_url: str) -> None:
    one, other = [await open_database(database_url) for _ in range(2)]
    try:
        worker = await register(one.queue, HOUR)
        runs = await runs_at_work(one, worker, PAIRS)
        events = await dispatches_at_work(one, worker, PAIRS)
        openings = [opening(task, f"{number}") for number, task in enumerate(runs)]
        arrivals = [arrival(task, f"{number}") for number, task in enumerate(events)]

        opened, arrived = await asyncio.gather(_all(one, openings), _all(other, arrivals))

        for run, event in zip(runs, events, strict=True):
            came_first = isinstance(arrived[event.ref], Early)
            assert opened[run.ref].status is (WaitStatus.CLAIMED if came_first else WaitStatus.OPEN)
            assert came_first or isinstance(arrived[event.ref], Taken)
        stored = {row.run_id: (row.status, row.event_id) for row in await rows(one, waits)}
        pairs = zip(runs, events, strict=True)
        assert stored == {run.ref: (WaitStatus.CLAIMED, event.ref) for run, event in pairs}
        assert await rows(one, early_events) == []

        # Nobody sleeps through it: who was told at once that it has to wait has been signalled since.
        asleep = [run for run in runs if opened[run.ref].status is WaitStatus.OPEN]
        asleep += [event for event in events if isinstance(arrived[event.ref], Early)]
        assert all(await one.queue.finish(worker, [said(task, Wait(HOUR)) for task in asleep]))
        states = {row.id: row.state for row in await rows(one)}
        assert {states[task.id] for task in asleep} <= {TaskState.READY}
    finally:
        await one.close()
        await other.close()


async def _all(database: Database, each: Sequence[Opening | Arrival]) -> dict[UUID, Any]:
    """What becomes of them, a few in a transaction, many transactions at once, in an order of their own."""
    # Partners are within a few transactions of each other, so that they meet.
    places = {id(item): place + random.uniform(0, NEAR) for place, item in enumerate(each)}
    shuffled = sorted(each, key=lambda item: places[id(item)])
    answers: dict[UUID, Any] = {}

    parts = iter([shuffled[start : start + TRANSACTION] for start in range(0, len(shuffled), TRANSACTION)])

    async def bring() -> None:
        for part in parts:
            found = await database.write(matching.match, part, await database.now())
            for item, answer in zip(part, found, strict=True):
                answers[item.run_id if isinstance(item, Opening) else item.event_id] = answer

    await asyncio.gather(*(bring() for _ in range(AT_ONCE)))
    return answers
