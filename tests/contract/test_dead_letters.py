from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, Table, delete, insert, select

from kanca.domain.event import NewEvent
from kanca.domain.status import EventStatus, OutcomeStatus, RunStatus
from kanca.domain.task import DeadLetter, Outcome, RunChange, TaskKind, TaskState
from kanca.errors import InvalidInput
from kanca.storage import dead_letters as letters
from kanca.storage import events, runs, statistics
from kanca.storage.dead_letters import DeadLetterFilter
from kanca.storage.ports import Database
from kanca.storage.statistics import Counted
from kanca.storage.tables import dead_letters, outcomes, tasks
from kanca.storage.tables import runs as runs_table
from tests.factories import a_dead_letter, an_outcome, ids, new_event

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


def _add(connection: Connection, dead: Sequence[DeadLetter], ended: Sequence[Outcome] = ()) -> None:
    for table, rows in ((dead_letters, dead), (outcomes, ended)):
        if rows:
            connection.execute(insert(table), [asdict(row) for row in rows])


def _rows(connection: Connection, table: Table) -> list[Any]:
    return list(connection.execute(select(table).order_by(*table.primary_key)).all())


def _add_run(connection: Connection, run: RunChange) -> None:
    connection.execute(insert(runs_table).values(asdict(run)))


def _clear(connection: Connection) -> None:
    connection.execute(delete(tasks))


async def _event(database: Database, **values: Any) -> NewEvent:
    event = new_event(**values)
    await database.accepting.append([event])
    await database.write(_clear)
    return event


async def _status(database: Database, event: NewEvent) -> EventStatus:
    return (await database.read(events.statuses_of, [event.id]))[event.id]


async def test_letters_are_listed_oldest_first_and_counted(database: Database) -> None:
    event = new_event()
    dead = [a_dead_letter(event, body=b"\x00", error=b'{"n":1}') for _ in range(5)]
    dead.sort(key=lambda letter: letter.id)
    await database.write(_add, dead)
    first = await database.read(letters.page, limit=3)
    second = await database.read(letters.page, limit=3, cursor=first.next_cursor)
    assert [*first.items, *second.items] == dead
    assert second.next_cursor is None
    assert await database.read(letters.count) == 5
    assert await database.read(letters.get, dead[2].id) == dead[2]
    assert await database.read(letters.id_at, 2) == dead[2].id
    assert await database.read(letters.id_at, 5) is None
    assert await database.read(letters.get, ids.new()) is None
    with pytest.raises(InvalidInput):
        await database.read(letters.page, cursor="???")


async def test_letters_can_be_told_apart(database: Database) -> None:
    event = new_event()
    values = (
        {"tenant": "t"},
        {"endpoint": 7},
        {"event_type": "x.y"},
        {"work": "workflow:w"},
        {"code": "worker_lost"},
        {"failed_at": NOW - timedelta(days=400)},
    )
    dead = [a_dead_letter(event, **{"failed_at": NOW} | value) for value in values]
    await database.write(_add, dead)
    wanted = [DeadLetterFilter(**value) for value in values[:-1]] + [DeadLetterFilter(until=NOW)]
    for letter, filter_ in zip(dead, wanted, strict=True):
        assert (await database.read(letters.page, filter_)).items == (letter,)
        assert await database.read(letters.count, filter_) == 1
    assert await database.read(letters.count, DeadLetterFilter(since=NOW)) == 5
    assert await database.read(letters.count, DeadLetterFilter(event_id=event.id)) == 6


async def test_retrying_the_only_work_of_an_event_makes_it_pending_and_queues_it(database: Database) -> None:
    event = await _event(database)
    letter = a_dead_letter(event, detail=b'{"d":1}')
    await database.write(
        _add, [letter], [an_outcome(event, status=OutcomeStatus.DEAD, works=1, reason="x", ref=letter.id)]
    )
    assert await _status(database, event) is EventStatus.DEAD

    assert await database.write(letters.retry, letter.id, NOW)
    assert await _status(database, event) is EventStatus.PENDING
    assert await database.read(letters.count) == 0
    [task] = await database.read(_rows, tasks)
    assert (task.kind, task.state, task.target, task.ref, task.detail, task.attempt) == (
        TaskKind.CALL,
        TaskState.READY,
        3,
        event.id,
        b'{"d":1}',
        0,
    )
    # Whoever does the work again need not know that it is the only one.
    [kept] = await database.read(_rows, outcomes)
    assert (kept.works, kept.status, kept.reason, kept.ref) == (1, OutcomeStatus.EXPANDED, None, None)

    assert not await database.write(letters.retry, letter.id, NOW)
    assert len(await database.read(_rows, tasks)) == 1


async def test_retrying_one_of_several_works_leaves_the_others_alone(database: Database) -> None:
    event = await _event(database)
    letter = a_dead_letter(event, work="handler:a")
    other = a_dead_letter(event, work="handler:b")
    await database.write(
        _add,
        [letter, other],
        [
            an_outcome(event, work="dispatch", status=OutcomeStatus.EXPANDED, works=2),
            an_outcome(event, work="handler:a", status=OutcomeStatus.DEAD, works=None),
            an_outcome(event, work="handler:b", status=OutcomeStatus.DEAD, works=None),
        ],
    )
    await database.write(letters.retry, letter.id, NOW)
    assert [row.work for row in await database.read(_rows, outcomes)] == ["dispatch", "handler:b"]
    assert await _status(database, event) is EventStatus.PENDING
    assert (await database.read(letters.page)).items == (other,)


async def test_a_retried_letter_of_an_ordered_handler_waits_for_its_turn(database: Database) -> None:
    event = await _event(database)
    letter = a_dead_letter(event, order_key=42)
    await database.write(_add, [letter])
    await database.write(letters.retry, letter.id, NOW)
    [task] = await database.read(_rows, tasks)
    assert (task.state, task.order_key) == (TaskState.PARKED, 42)


async def test_retrying_a_run_opens_it_again(database: Database) -> None:
    event = await _event(database)
    run = RunChange(ids.new(), "flow", 1, event.id, RunStatus.FAILED, NOW, finished_at=NOW, error=b"{}")
    await database.write(_add_run, run)
    letter = a_dead_letter(event, kind=TaskKind.RUN, ref=run.id, target=9, work="workflow:flow")
    await database.write(_add, [letter])
    await database.write(letters.retry, letter.id, NOW)
    reopened = await database.read(runs.get, run.id)
    assert reopened == replace(run, status=RunStatus.PENDING, finished_at=None, error=None)
    [task] = await database.read(_rows, tasks)
    assert (task.kind, task.ref, task.target) == (TaskKind.RUN, run.id, 9)


async def test_many_letters_are_retried_at_once_oldest_first(database: Database) -> None:
    dead: list[DeadLetter] = []
    ended: list[Outcome] = []
    for number in range(6):
        event = await _event(database)
        dead.append(a_dead_letter(event, target=number % 2))
        ended.append(an_outcome(event, status=OutcomeStatus.DEAD))
    spared = a_dead_letter(await _event(database), code="other")
    await database.write(_add, [*dead, spared], ended)
    wanted = DeadLetterFilter(code="handler_failed")
    assert await database.write(letters.retry_some, wanted, NOW, limit=4) == 4
    assert await database.write(letters.retry_some, wanted, NOW, limit=4) == 2
    assert await database.write(letters.retry_some, wanted, NOW, limit=4) == 0
    rows = await database.read(_rows, tasks)
    in_order: list[UUID] = [row.ref for row in sorted(rows, key=lambda row: row.id)]
    assert in_order == [letter.ref for letter in sorted(dead, key=lambda letter: letter.id)]
    assert (await database.read(letters.page)).items == (spared,)


async def test_two_who_retry_the_same_letter_cause_one_task(database: Database) -> None:
    event = await _event(database)
    letter = a_dead_letter(event)
    await database.write(_add, [letter], [an_outcome(event, status=OutcomeStatus.DEAD)])
    answers = await asyncio.gather(
        *(database.write(letters.retry, letter.id, NOW) for _ in range(4)),
        *(database.write(letters.retry_some, DeadLetterFilter(event_id=event.id), NOW) for _ in range(4)),
    )
    assert sum(answers) == 1
    assert len(await database.read(_rows, tasks)) == 1


async def test_work_that_dies_again_after_a_retry_is_dead_once(database: Database) -> None:
    event = await _event(database)
    for _ in range(2):
        await database.write(statistics.add, "worker", [Counted(event.endpoint, NOW, dead=1)])
        letter = a_dead_letter(event, endpoint=event.endpoint)
        await database.write(_add, [letter])
        await database.write(letters.retry, letter.id, NOW)
    await database.write(statistics.add, "worker", [Counted(event.endpoint, NOW, dead=1)])
    found = await database.read(statistics.of_endpoints, [event.endpoint], NOW)
    assert found[event.endpoint].total.dead == 1


async def test_a_removed_letter_leaves_its_event_dead(database: Database) -> None:
    event = await _event(database)
    letter = a_dead_letter(event)
    await database.write(_add, [letter], [an_outcome(event, status=OutcomeStatus.DEAD)])
    assert await database.write(letters.remove, letter.id)
    assert not await database.write(letters.remove, letter.id)
    assert await _status(database, event) is EventStatus.DEAD
    assert await database.read(_rows, tasks) == []
