"""Dead letters that are retried or deleted by the thousand: a portion in each transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from kanca.domain.job import Job, Portion
from kanca.domain.task import TaskKind
from kanca.storage.dead_letters import DeadLetterFilter, is_any_left, remove_some, retry_some

AT_ONCE = 100
"""Letters of one portion: so few that nobody who accepts waits long for it."""


def filter_as_json(wanted: DeadLetterFilter) -> dict[str, Any]:
    """What a job is asked for."""
    given = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
    return {name: _as_json(value) for name, value in given.items() if value not in (None, ())}


def filter_in(wanted: Mapping[str, Any]) -> DeadLetterFilter:
    """What ``filter_as_json`` was given."""
    values = dict(wanted)
    for name, read in (
        ("kinds", lambda kinds: tuple(map(TaskKind, kinds))),
        ("event_id", UUID),
        ("since", datetime.fromisoformat),
        ("until", datetime.fromisoformat),
    ):
        if name in values:
            values[name] = read(values[name])
    return DeadLetterFilter(**values)


def retry_portion(connection: Connection, job: Job, now: datetime) -> Portion:
    """Give some of the work back to the queue. Wake the workers once it has committed."""
    wanted = filter_in(job.wanted)
    retried = retry_some(connection, wanted, now, AT_ONCE)
    is_last = retried < AT_ONCE and not is_any_left(connection, wanted, to_retry=True)
    return Portion({"retried": retried}, {}, is_last=is_last)


def purge_portion(connection: Connection, job: Job, _now: datetime) -> Portion:
    """Delete some of the letters."""
    wanted = filter_in(job.wanted)
    purged = remove_some(connection, wanted, AT_ONCE)
    is_last = purged < AT_ONCE and not is_any_left(connection, wanted, to_retry=False)
    return Portion({"purged": purged}, {}, is_last=is_last)


def _as_json(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    return value.isoformat() if isinstance(value, datetime) else value
