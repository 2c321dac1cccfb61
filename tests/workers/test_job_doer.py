from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import ColumnElement, Connection, delete, insert, select

from kanca.domain.job import Job, JobKind, JobStatus
from kanca.domain.task import DeadLetter
from kanca.storage import dead_letter_jobs, jobs
from kanca.storage import dead_letters as letters
from kanca.storage.ports import Database
from kanca.storage.tables import dead_letters
from kanca.workers import job_doer
from kanca.workers.job_doer import JobDoer
from tests.factories import a_dead_letter, ids, new_event

NOW = datetime.now(UTC)
RETRY, PURGE = JobKind.RETRY_DEAD_LETTERS, JobKind.PURGE_DEAD_LETTERS


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letter_jobs, "AT_ONCE", 3)


def _insert(connection: Connection, dead: Sequence[DeadLetter]) -> None:
    connection.execute(insert(dead_letters), [asdict(each) for each in dead])


async def store(database: Database, number: int, **values: Any) -> None:
    """Dead letters that can be retried."""
    new = [new_event() for _ in range(number)]
    await database.accepting.append(new)
    await database.write(_insert, [a_dead_letter(event, failed_at=NOW, **values) for event in new])


async def ask(database: Database, kind: JobKind, **wanted: str) -> UUID:
    until = (NOW + timedelta(hours=1)).isoformat()
    job = Job(ids.new(), kind, None, {"until": until, **wanted}, 0, NOW)
    await database.write(jobs.create, job)
    return job.id


async def to_the_end(database: Database) -> None:
    doer = JobDoer(database, database.waker())
    while not await doer.run_once():
        pass


@pytest.mark.parametrize("kind", [RETRY, PURGE])
async def test_a_portion_of_which_others_have_taken_some_is_not_the_last(
    database: Database, monkeypatch: pytest.MonkeyPatch, kind: JobKind
) -> None:
    await store(database, 8)
    job_id = await ask(database, kind)
    taken: list[UUID] = []

    def somebody_comes_between(connection: Connection) -> None:
        if not taken:
            taken.append(connection.scalars(select(dead_letters.c.id).order_by(dead_letters.c.id)).all()[1])
            connection.execute(delete(dead_letters).where(dead_letters.c.id == taken[0]))

    retry, remove = letters._retry, letters.remove_some  # noqa: SLF001 - between what it finds and takes

    def retry_later(connection: Connection, which: ColumnElement[bool], now: datetime) -> int:
        somebody_comes_between(connection)
        return retry(connection, which, now)

    def remove_later(connection: Connection, wanted: letters.DeadLetterFilter, limit: int) -> int:
        if taken:
            return remove(connection, wanted, limit)
        somebody_comes_between(connection)
        return remove(connection, wanted, limit - 1)

    monkeypatch.setattr(letters, "_retry", retry_later)
    monkeypatch.setattr(dead_letter_jobs, "remove_some", remove_later)
    await to_the_end(database)

    job = await database.read(jobs.get, job_id)
    assert (job.status, sum(job.counts.values())) == (JobStatus.FINISHED, 7)
    assert await database.read(letters.count) == 0


async def test_a_job_that_fails_keeps_no_other_from_going_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(database, 4)
    failing = await ask(database, RETRY)
    other = await ask(database, PURGE)

    def fail(*_: object) -> int:
        raise RuntimeError("no")

    monkeypatch.setattr(dead_letter_jobs, "retry_some", fail)
    with pytest.raises(RuntimeError):
        await JobDoer(database, database.waker()).run_once()

    assert (await database.read(jobs.get, other)).status is JobStatus.FINISHED
    assert (await database.read(jobs.get, failing)).status is JobStatus.PENDING


async def test_a_long_job_lets_a_short_one_have_its_turn(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_doer, "PORTIONS", 1)
    await store(database, 10, code="many")
    await store(database, 1, code="few")
    long = await ask(database, PURGE, code="many")
    short = await ask(database, PURGE, code="few")

    pause = await JobDoer(database, database.waker()).run_once()

    assert (await database.read(jobs.get, long)).status is JobStatus.RUNNING
    assert (await database.read(jobs.get, short)).status is JobStatus.FINISHED
    assert pause == timedelta(0)
    await to_the_end(database)
    assert (await database.read(jobs.get, long)).counts == {"purged": 10}
