from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, delete, func, insert, select

from kanca.domain.event import Accepted, NewEvent
from kanca.domain.ids import derived_id
from kanca.domain.status import RunStatus, StepStatus, WaitStatus
from kanca.domain.task import RunAnswer, RunChange, Step, TaskKind
from kanca.domain.wait import Wait, WaitAddress
from kanca.storage import dead_letters as letters
from kanca.storage import rejections
from kanca.storage.dialects.postgresql.database import PostgresDatabase
from kanca.storage.dialects.postgresql.partitions import make_partitions
from kanca.storage.ports import Database
from kanca.storage.rejections import Rejection
from kanca.storage.retention import days_to_drop
from kanca.storage.tables import (
    answers,
    attempts,
    dead_letters,
    dedupe,
    early_events,
    events,
    outcomes,
    run_slots,
    runs,
    steps,
    tasks,
    waits,
)
from tests.databases import ClockOffset
from tests.factories import a_dead_letter, an_attempt, an_outcome, new_event

TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
BEFORE = TODAY - timedelta(days=30)
OLD = TODAY - timedelta(days=40)
YOUNG = TODAY - timedelta(days=20)


def _id_at(moment: datetime) -> UUID:
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | new_event().id.int & ((1 << 80) - 1))


def _add(connection: Connection, table: Table, rows: Sequence[Any]) -> None:
    connection.execute(insert(table), [asdict(row) for row in rows])


def _finish_all(connection: Connection) -> None:
    connection.execute(delete(tasks))


def _counts(connection: Connection) -> dict[str, int]:
    of_events = (events, outcomes, attempts, steps, runs, dead_letters, dedupe)
    tables = (*of_events, waits, early_events, run_slots, answers)
    return {
        table.name: count
        for table in tables
        if (count := connection.scalar(select(func.count()).select_from(table)))
    }


async def _history(database: Database, moment: datetime, *, is_open: bool = False) -> NewEvent:
    """An event of that day with all that there can be about it, finished unless it ``is_open``."""
    if isinstance(database, PostgresDatabase):
        await make_partitions(database.engine, [moment.date()])
    event = new_event(id=_id_at(moment), received_at=moment)
    assert await database.accepting.append([event]) == [Accepted()]
    run = RunChange(
        derived_id(event.id, "workflow:w"),
        "w",
        1,
        event.id,
        RunStatus.RUNNING if is_open else RunStatus.FAILED,
        moment,
    )
    succeeded = StepStatus.SUCCEEDED
    step = Step(
        derived_id(run.id, "n", "0"), run.id, "n", 0, succeeded, None, None, None, None, 1, moment, moment
    )
    if not is_open:
        await database.write(_finish_all)
    await database.write(_add, runs, [run])
    await database.write(_add, steps, [step])
    await database.write(_add, outcomes, [an_outcome(event)])
    await database.write(_add, attempts, [an_attempt(event, id=_id_at(moment))])
    await database.write(_add, dead_letters, [a_dead_letter(event)])
    return event


_ONE_OF_EACH = {"events": 1, "outcomes": 1, "attempts": 1, "steps": 1, "runs": 1, "dead_letters": 1}


async def test_finished_days_beyond_the_retention_go_whole(database: Database) -> None:
    await _history(database, OLD)
    await _history(database, YOUNG)
    assert await database.drop_expired(BEFORE) > 0
    assert await database.read(_counts) == _ONE_OF_EACH
    assert await database.drop_expired(BEFORE) == 0


async def test_the_day_of_the_boundary_stays_whole(database: Database) -> None:
    await _history(database, BEFORE - timedelta(hours=6))
    await database.drop_expired(BEFORE)
    assert await database.read(_counts) == _ONE_OF_EACH


async def test_a_day_with_unfinished_work_stays_with_all_its_history(database: Database) -> None:
    await _history(database, OLD, is_open=True)
    later_attempt = an_attempt(new_event(), id=_id_at(OLD + timedelta(days=2)))
    if isinstance(database, PostgresDatabase):
        await make_partitions(database.engine, [(OLD + timedelta(days=2)).date()])
    await database.write(_add, attempts, [later_attempt])
    await _history(database, OLD + timedelta(days=1))
    await database.drop_expired(BEFORE)
    assert await database.read(_counts) == _ONE_OF_EACH | {"attempts": 3}


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING])
async def test_an_unfinished_run_keeps_its_day(database: Database, status: RunStatus) -> None:
    run = RunChange(_id_at(OLD), "w", 1, None, status, OLD)
    await database.write(_add, runs, [run])
    await database.drop_expired(BEFORE)
    assert await database.read(_counts) == {"runs": 1}


async def test_a_finished_run_that_a_person_started_goes_with_its_dead_letter(database: Database) -> None:
    if isinstance(database, PostgresDatabase):
        await make_partitions(database.engine, [OLD.date()])
    run = RunChange(_id_at(OLD), "w", 1, None, RunStatus.FAILED, OLD)
    letter = a_dead_letter(new_event(), kind=TaskKind.RUN, ref=run.id, event_id=None)
    await database.write(_add, runs, [run])
    await database.write(_add, dead_letters, [letter])
    await _history(database, OLD)
    await database.drop_expired(BEFORE)
    assert await database.read(_counts) == {}


async def _suspended(database: Database, moment: datetime, *, is_open: bool) -> None:
    """A run of that day that waited, took turns, and answered."""
    event = await _history(database, moment, is_open=is_open)
    run_id = derived_id(event.id, "workflow:w")
    address = WaitAddress(run_id, "n").wait_id
    wait = Wait(address, run_id, 7, "n", 0, "r", "k", WaitStatus.OPEN, 1, moment, moment)
    await database.write(_add, waits, [wait])
    await database.write(_add, answers, [RunAnswer(event.id, 200, b"{}", b"", moment)])
    early = {"event_id": event.id, "rule": "r", "workflow": 7, "node_id": "n", "key": "k", "task_id": 2}
    turn = {"run_id": run_id, "workflow": 7, "key": "", "is_held": True, "most": 1, "task_id": 1}

    def add(connection: Connection) -> None:
        connection.execute(insert(early_events), early | {"received_at": moment, "expires_at": moment})
        connection.execute(insert(run_slots), turn)

    await database.write(add)


_OF_SUSPENDED = {"waits": 1, "early_events": 1, "run_slots": 1, "answers": 1}


async def test_what_belongs_to_a_run_that_waited_goes_with_it(database: Database) -> None:
    await _suspended(database, OLD, is_open=False)
    await _suspended(database, YOUNG, is_open=False)
    await database.drop_expired(BEFORE)
    assert await database.read(_counts) == _ONE_OF_EACH | _OF_SUSPENDED


async def test_what_an_unfinished_run_waits_for_stays(database: Database) -> None:
    await _suspended(database, OLD, is_open=True)
    await database.drop_expired(BEFORE)
    kept = await database.read(_counts)
    # Whoever waited for its answer has long gone.
    assert kept == _ONE_OF_EACH | {name: 1 for name in _OF_SUSPENDED if name != "answers"}


async def test_a_retried_dead_letter_keeps_its_day(database: Database) -> None:
    event = await _history(database, OLD)
    assert await database.write(letters.retry_some, letters.DeadLetterFilter(event_id=event.id), TODAY) == 1
    await database.drop_expired(BEFORE)
    kept = await database.read(_counts)
    assert kept["events"] == 1
    assert kept["attempts"] == 1


async def test_expired_dedupe_keys_go_and_live_ones_stay(
    database: Database, clock_offset: ClockOffset
) -> None:
    now = await database.now()
    lasting, short = (
        [new_event(dedupe_key=new_event().id, dedupe_until=now + until) for _ in range(3)]
        for until in (timedelta(days=2), timedelta(hours=1))
    )
    await database.accepting.append([*lasting, *short])
    await database.drop_expired(BEFORE)
    assert (await database.read(_counts))["dedupe"] == 6
    await clock_offset(24 * 3600)
    await database.drop_expired(BEFORE)
    assert (await database.read(_counts))["dedupe"] == 3


async def test_rejections_end_with_the_retention(database: Database) -> None:
    for moment in (OLD, YOUNG):
        refused = Rejection(_id_at(moment), 100, moment, 401, "c", "d", "192.0.2.1", b"{}")
        await database.write(rejections.add, [refused])
    await database.drop_expired(BEFORE)
    [kept] = (await database.read(rejections.page, 100)).items
    assert kept.occurred_at == YOUNG


async def test_more_rows_than_a_batch_go_too(database: Database) -> None:
    if isinstance(database, PostgresDatabase):
        await make_partitions(database.engine, [OLD.date()])
    await database.accepting.append([new_event(id=_id_at(OLD)) for _ in range(1_200)])
    await database.write(_finish_all)
    await database.drop_expired(BEFORE)
    assert await database.read(_counts) == {}


_DAYS = st.sets(st.integers(0, 10).map(lambda n: date(2026, 1, 1) + timedelta(days=n)))


@given(stored=st.fixed_dictionaries({"events": _DAYS, "attempts": _DAYS}), before=_DAYS, held=_DAYS)
def test_no_day_goes_that_is_young_or_held(
    stored: dict[str, set[date]], before: set[date], held: set[date]
) -> None:
    bound = datetime.combine(min(before, default=date(2026, 1, 5)), datetime.min.time(), UTC)
    going = days_to_drop(stored, bound, held)
    assert going == sorted(going)
    for day, table in going:
        assert day in stored[table]
        assert day < bound.date()
        assert day not in held
        assert table == "events" or not any(other <= day for other in held)
    if not held:
        assert len(going) == sum(day < bound.date() for days in stored.values() for day in days)
