"""Where requests wait for what runs answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

from kanca.domain.status import OutcomeStatus
from kanca.errors import DatabaseUnavailable
from kanca.ingest.waiting_room import Became, WaitingRoom
from kanca.storage.answers import StoredAnswer

LONG_S = 30.0
ANSWER = StoredAnswer(201, (("X-Order", "7"),), b"made")


class Runs:
    """What became of runs, and who asked."""

    def __init__(self) -> None:
        self.became: dict[UUID, Became] = {}
        self.asked: asyncio.Queue[Sequence[UUID]] = asyncio.Queue()
        self.failure: Exception | None = None

    async def look(self, event_ids: Sequence[UUID]) -> Mapping[UUID, Became]:
        self.asked.put_nowait(event_ids)
        if self.failure is not None:
            raise self.failure
        return {event_id: self.became[event_id] for event_id in event_ids if event_id in self.became}


async def stays() -> None:
    await asyncio.Event().wait()


def enter(room: WaitingRoom, event_id: UUID, limit_s: float = LONG_S) -> asyncio.Task[Became | None]:
    return asyncio.create_task(room.wait(event_id, limit_s, stays))


async def test_who_waits_is_told_what_the_run_answered() -> None:
    runs = Runs()
    room = WaitingRoom(runs.look)
    event_id = uuid4()
    waiting = enter(room, event_id)
    await runs.asked.get()
    runs.became[event_id] = ANSWER
    assert await waiting == ANSWER
    assert room.number == 0


async def test_all_who_wait_share_a_question() -> None:
    runs = Runs()
    room = WaitingRoom(runs.look)
    ids = [uuid4() for _ in range(50)]
    waiting = [enter(room, event_id) for event_id in [*ids, *ids]]
    assert set(await runs.asked.get()) == set(ids)
    assert room.number == 100
    runs.became = dict.fromkeys(ids, OutcomeStatus.SUCCEEDED)
    assert await asyncio.gather(*waiting) == [OutcomeStatus.SUCCEEDED] * 100


async def test_nobody_asks_when_nobody_waits() -> None:
    runs = Runs()
    room = WaitingRoom(runs.look)
    event_id = uuid4()
    runs.became[event_id] = ANSWER
    before = asyncio.all_tasks()
    assert await enter(room, event_id) == ANSWER
    looking = asyncio.all_tasks() - before
    await asyncio.gather(*looking)
    assert runs.asked.qsize() == 1
    assert await enter(room, event_id) == ANSWER


async def test_a_wait_ends_when_its_time_is_over() -> None:
    room = WaitingRoom(Runs().look)
    assert await enter(room, uuid4(), limit_s=0.01) is None
    assert room.number == 0


async def test_a_wait_ends_when_the_client_is_gone() -> None:
    runs = Runs()
    room = WaitingRoom(runs.look)
    left = asyncio.Event()

    async def gone() -> None:
        await left.wait()

    waiting = asyncio.create_task(room.wait(uuid4(), LONG_S, gone))
    await runs.asked.get()
    left.set()
    assert await waiting is None
    assert room.number == 0


async def test_a_wait_that_is_cancelled_leaves_nobody_behind() -> None:
    runs = Runs()
    room = WaitingRoom(runs.look)
    waiting = enter(room, uuid4())
    await runs.asked.get()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert room.number == 0


async def test_closing_lets_everybody_go_and_nobody_in() -> None:
    runs = Runs()
    room = WaitingRoom(runs.look)
    waiting = [enter(room, uuid4()) for _ in range(3)]
    await runs.asked.get()
    await room.close()
    assert await asyncio.gather(*waiting) == [None] * 3
    assert await enter(room, uuid4()) is None
    assert room.number == 0


async def test_a_full_room_takes_nobody() -> None:
    runs = Runs()
    room = WaitingRoom(runs.look, most=2)
    waiting = [enter(room, uuid4()) for _ in range(2)]
    await runs.asked.get()
    assert await enter(room, uuid4()) is None
    await room.close()
    await asyncio.gather(*waiting)


async def test_while_the_database_is_away_they_wait_on() -> None:
    runs = Runs()
    runs.failure = DatabaseUnavailable()
    room = WaitingRoom(runs.look)
    event_id = uuid4()
    runs.became[event_id] = ANSWER
    waiting = enter(room, event_id)
    await runs.asked.get()
    runs.failure = None
    assert await waiting == ANSWER


async def test_a_mistake_of_ours_holds_nobody() -> None:
    runs = Runs()
    runs.failure = RuntimeError("broken")
    room = WaitingRoom(runs.look)
    assert await enter(room, uuid4()) is None
