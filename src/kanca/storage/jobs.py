"""Jobs: stored with where they stand, so that whoever comes next goes on there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from kanca.domain.ids import JOB, show_id
from kanca.domain.job import Job, JobKind, JobStatus, Portion
from kanca.errors import JobNotFound, JobOver
from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.tables import jobs

Do = Callable[[Connection, Job, datetime], Portion]
"""Does one portion of a job in the transaction of the connection."""
_AS_JSON = ("wanted", "state", "counts")


def create(connection: Connection, job: Job) -> None:
    """Store a new job; a worker begins with it within seconds."""
    values = asdict(job)
    connection.execute(insert(jobs).values(values | {name: json.dumps(values[name]) for name in _AS_JSON}))


def get(connection: Connection, job_id: UUID) -> Job:
    """Give the job with that id. Raises JobNotFound."""
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise JobNotFound(f"There is no job {show_id(JOB, job_id)}")
    return _job(row)


def page(connection: Connection, limit: int = 50, cursor: str | None = None) -> Page[Job]:
    """List jobs, newest first. Raises InvalidInput for a wrong limit or cursor."""
    query = select(jobs).order_by(jobs.c.id.desc()).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(jobs.c.id < read_id_cursor(cursor))
    found = [_job(row) for row in connection.execute(query)]
    items = tuple(found[:limit])
    return Page(items, cursor_after(items[-1].id) if len(found) > limit else None)


def unfinished(connection: Connection) -> list[UUID]:
    """Give the ids of jobs that go on, oldest first."""
    return list(connection.scalars(select(jobs.c.id).where(jobs.c.finished_at.is_(None)).order_by(jobs.c.id)))


def cancel(connection: Connection, job_id: UUID, now: datetime) -> Job:
    """End a job where it stands; what it did stays done. Raises JobNotFound, JobOver."""
    ended = update(jobs).where(jobs.c.id == job_id, jobs.c.finished_at.is_(None))
    if not connection.execute(ended.values(status=JobStatus.CANCELLED, finished_at=now)).rowcount:
        raise JobOver(f"The job has {get(connection, job_id).status} already")
    return get(connection, job_id)


def advance(connection: Connection, job_id: UUID, do: Mapping[JobKind, Do], now: datetime) -> bool:
    """Do the next portion of a job, together with writing down where it stands then; whether there is another one.

    False too while somebody else is at it.
    """
    query = select(jobs).where(jobs.c.id == job_id, jobs.c.finished_at.is_(None))
    row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return False
    job = _job(row)
    portion = do[job.kind](connection, job, now)
    connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(
            status=JobStatus.FINISHED if portion.is_last else JobStatus.RUNNING,
            portion=job.portion + 1,
            state=json.dumps(portion.state),
            counts=json.dumps(Counter(job.counts) + Counter(portion.counts)),
            started_at=job.started_at or now,
            finished_at=now if portion.is_last else None,
        )
    )
    return not portion.is_last


def _job(row: Row[Any]) -> Job:
    values = row._asdict()
    read = {name: json.loads(values[name]) for name in _AS_JSON}
    return Job(**values | read | {"kind": JobKind(row.kind), "status": JobStatus(row.status)})
