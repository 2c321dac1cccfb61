from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, func, select

from kanca.domain.event import Accepted, Appended, Duplicate, NewEvent
from kanca.domain.task import TaskKind, TaskState, lane_of
from kanca.errors import DatabaseUnavailable, InvalidInput
from kanca.storage.appending import Appending, has_nul
from kanca.storage.dialects import open_database
from kanca.storage.halving import Refused
from kanca.storage.ports import Database
from kanca.storage.tables import dedupe, events, tasks
from tests.databases import ClockOffset
from tests.factories import new_event


def _rows(connection: Connection, table: Table) -> list[Any]:
    return list(connection.execute(select(table)).all())


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


async def test_an_event_is_stored_as_it_was_with_one_dispatch_task(database: Database) -> None:
    event = new_event(
        endpoint=117,
        type="sıra.dışı",
        source_event_id="src-1",
        body=b"\x00\xff{not json",
        dedupe_key=uuid4(),
        replay_of=uuid4(),
    )
    assert await database.accepting.append([event]) == [Accepted()]

    [stored] = await database.read(_rows, events)
    assert stored._asdict() == {
        "id": event.id,
        "endpoint": 117,
        "tenant": "default",
        "type": "sıra.dışı",
        "received_at": event.received_at,
        "source_event_id": "src-1",
        "correlation_id": "cor-1",
        "request": event.request,
        "body": b"\x00\xff{not json",
        "replay_of": event.replay_of,
    }
    [task] = await database.read(_rows, tasks)
    assert (task.kind, task.state, task.ref) == (TaskKind.DISPATCH, TaskState.READY, event.id)
    assert (task.target, task.lane) == (117, lane_of(TaskKind.DISPATCH, 117))
    assert (task.attempt, task.crashes, task.fence, task.worker) == (0, 0, 0, None)
    [key] = await database.read(_rows, dedupe)
    assert (key.key, key.event_id, key.expires_at) == (event.dedupe_key, event.id, event.dedupe_until)


async def test_an_empty_batch_is_fine(database: Database) -> None:
    assert await database.accepting.append([]) == []


async def test_positions_of_one_endpoint_are_spaced(database: Database) -> None:
    await database.accepting.append([new_event() for _ in range(5)])
    positions = sorted(task.position for task in await database.read(_rows, tasks))
    assert all(later - earlier >= 1000 for earlier, later in pairwise(positions))


async def test_a_taken_key_makes_a_duplicate_and_writes_nothing(database: Database) -> None:
    key = uuid4()
    original, again = new_event(dedupe_key=key), new_event(dedupe_key=key)
    assert await database.accepting.append([original]) == [Accepted()]
    assert await database.accepting.append([again, new_event()]) == [Duplicate(original.id), Accepted()]
    assert await database.read(_count, events) == 2
    assert await database.read(_count, tasks) == 2


async def test_the_first_of_a_batch_wins_its_key(database: Database) -> None:
    key = uuid4()
    first, second, third = (new_event(dedupe_key=key) for _ in range(3))
    answers = await database.accepting.append([first, second, new_event(), third])
    assert answers == [Accepted(), Duplicate(first.id), Accepted(), Duplicate(first.id)]
    assert await database.read(_count, events) == 2


async def test_events_without_a_key_are_never_duplicates(database: Database) -> None:
    assert await database.accepting.append([new_event() for _ in range(3)]) == [Accepted()] * 3


async def test_a_key_is_free_again_when_its_window_is_over(
    database: Database, clock_offset: ClockOffset
) -> None:
    key = uuid4()
    until = datetime.now(UTC) + timedelta(hours=1)
    first, second, third = (
        new_event(dedupe_key=key, dedupe_until=until + timedelta(days=n)) for n in range(3)
    )
    await database.accepting.append([first])
    await clock_offset(3599 - 5)
    assert await database.accepting.append([second]) == [Duplicate(first.id)]
    await clock_offset(3601)
    assert await database.accepting.append([second]) == [Accepted()]
    assert await database.accepting.append([third]) == [Duplicate(second.id)]


@pytest.mark.parametrize("key", [None, uuid4()])
async def test_a_batch_sent_again_because_its_answer_was_lost_is_accepted_once(
    database: Database, key: UUID | None
) -> None:
    batch = [new_event(dedupe_key=key), new_event(), new_event()]
    assert await database.accepting.append(batch) == [Accepted()] * 3
    assert await database.accepting.append([*batch, new_event()]) == [Accepted()] * 4
    assert await database.read(_count, events) == 4
    assert await database.read(_count, tasks) == 4


@pytest.mark.parametrize(
    "poison",
    [
        {"type": "nul\0"},
        {"source_event_id": "nul\0"},
        {"correlation_id": "half a character \ud800"},
        {"tenant": "half a character \udfff"},
        {"endpoint": 2**70},
    ],
)
@pytest.mark.parametrize("place", [0, 3, 6])
async def test_what_the_database_refuses_fails_alone(
    database: Database, poison: dict[str, Any], place: int
) -> None:
    batch = [new_event(dedupe_key=uuid4()) for _ in range(7)]
    batch[place] = new_event(dedupe_key=uuid4(), **poison)
    answers = await database.accepting.append(batch)
    assert isinstance(answers.pop(place), InvalidInput)
    assert answers == [Accepted()] * 6
    assert await database.read(_count, events) == 6
    assert await database.read(_count, tasks) == 6
    assert await database.read(_count, dedupe) == 6


async def test_a_good_event_is_not_refused_with_the_bad_one_that_came_first_with_its_key(
    database: Database,
) -> None:
    key = uuid4()
    bad, good, late = (
        new_event(dedupe_key=key, type="\ud800"),
        new_event(dedupe_key=key),
        new_event(dedupe_key=key),
    )
    refused, accepted, duplicate = await database.accepting.append([bad, good, late])
    assert isinstance(refused, InvalidInput)
    assert (accepted, duplicate) == (Accepted(), Duplicate(good.id))


async def test_concurrent_batches_with_the_same_keys_accept_each_key_once(
    database: Database, database_url: str
) -> None:
    other = await open_database(database_url)
    chance = random.Random(7)
    keys = [uuid4() for _ in range(40)]
    batches: list[list[NewEvent]] = []
    for _ in range(20):
        chosen = chance.choices(keys, k=30)
        batches.append([new_event(dedupe_key=key) for key in chosen])
    try:
        answers = await asyncio.gather(
            *(
                (other if number % 2 else database).accepting.append(batch)
                for number, batch in enumerate(batches)
            )
        )
    finally:
        await other.close()

    original_of: dict[UUID | None, UUID] = {}
    pairs = [
        (event, answer)
        for batch, answered in zip(batches, answers, strict=True)
        for event, answer in zip(batch, answered, strict=True)
    ]
    for event, answer in pairs:
        if answer == Accepted():
            assert event.dedupe_key not in original_of
            original_of[event.dedupe_key] = event.id
    for event, answer in pairs:
        assert answer in (Accepted(), Duplicate(original_of[event.dedupe_key]))
    assert await database.read(_count, events) == len(original_of) == len(keys)
    assert await database.read(_count, tasks) == len(keys)


async def test_an_event_of_any_day_finds_its_room(database: Database) -> None:
    ago = datetime.now(UTC) - timedelta(days=400)
    old = UUID(int=(int(ago.timestamp() * 1000) << 80) | new_event().id.int & ((1 << 80) - 1))
    assert await database.accepting.append([new_event(id=old), new_event()]) == [Accepted(), Accepted()]
    assert await database.read(_count, events) == 2


async def test_a_batch_too_large_for_one_transaction_is_stored_in_several(
    database: Database,
) -> None:
    parts: list[int] = []

    async def store(part: Sequence[NewEvent]) -> list[Appended]:
        parts.append(len(part))
        return [
            answer for answer in await database.accepting.append(part) if not isinstance(answer, Exception)
        ]

    batch = [new_event(body=b"x" * size) for size in (10, 2000, 400, 400, 400, 3000)]
    assert await Appending(store, max_transaction_bytes=1000).append(batch) == [Accepted()] * 6
    assert parts == [1, 1, 2, 1, 1]
    assert await database.read(_count, events) == 6


async def test_what_was_stored_before_the_database_went_away_is_answered_as_stored() -> None:
    async def store(part: Any) -> list[Any]:
        if any(event.type == "poison" for event in part):
            raise Refused
        if any(event.type == "late" for event in part):
            raise DatabaseUnavailable
        return [Accepted()] * len(part)

    batch = [new_event(type=kind) for kind in ("early", "poison", "late", "late")]
    accepted, refused, *late = await Appending(store).append(batch)
    assert accepted == Accepted()
    assert isinstance(refused, InvalidInput)
    assert all(isinstance(answer, DatabaseUnavailable) for answer in late)
    with pytest.raises(DatabaseUnavailable):
        await Appending(store).append(batch[2:])


_text = st.text(max_size=8)


@given(
    batch=st.lists(
        st.builds(
            lambda key, **values: new_event(dedupe_key=key and UUID(int=key), **values),
            key=st.none() | st.integers(1, 4),
            type=_text,
            correlation_id=_text,
            source_event_id=st.none() | _text,
            body=st.binary(max_size=16),
        ),
        max_size=12,
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_a_batch_holds_each_event_gets_its_own_answer(
    database: Database, batch: list[NewEvent]
) -> None:
    before = await database.read(_count, events)
    answers = await database.accepting.append(batch)
    assert len(answers) == len(batch)
    accepted = 0
    for event, answer in zip(batch, answers, strict=True):
        if has_nul(event):
            assert isinstance(answer, InvalidInput)
        else:
            assert isinstance(answer, Accepted | Duplicate)
        accepted += answer == Accepted()
    assert await database.read(_count, events) == before + accepted
