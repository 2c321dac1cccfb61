"""Finishing: one statement ends, changes and records a whole batch of tasks.

The statement is put together from what the batch needs. Most batches end tasks with an outcome each; a workflow's step
changes its run, keeps its task and stores the step: each such shape is one prepared statement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import count
from operator import attrgetter
from typing import Any

import asyncpg

from kanca.domain.ids import time_of
from kanca.domain.positions import PositionClock
from kanca.domain.task import SUSPECT_CRASHES, Completion, TaskState
from kanca.storage.completions import Change, change_of, is_end
from kanca.storage.dialects.postgresql.arrays import arrays_of, unnested
from kanca.storage.dialects.postgresql.engine import PostgresEngine
from kanca.storage.dialects.postgresql.failures import sqlstate_of
from kanca.storage.dialects.postgresql.partitions import make_partitions, misses_partition
from kanca.storage.halving import Refused
from kanca.storage.records import PARTS, TASK_COLUMNS, Part, Row, task_row
from kanca.storage.tables import tasks

_TASKS = Part(tasks, TASK_COLUMNS, lambda records: records.tasks, tuple)

# `rescue` and `leave` delete the worker's row before they touch its tasks, so that they and this never wait for each
# other's tasks.
_WORKER = "worker AS MATERIALIZED (SELECT id FROM kanca.workers WHERE id = $1 FOR KEY SHARE)"
# What is asked again of `t` is asked of the row as it is when its lock is got.
_IS_MINE = "t.state = 1 AND t.worker = worker.id"
_ENDED = f"""
ending AS MATERIALIZED (
    SELECT held.tid FROM worker, unnest({{id}}::bigint[], {{fence}}::int[]) AS g (id, fence)
    CROSS JOIN LATERAL (
        SELECT t.ctid AS tid FROM kanca.tasks AS t WHERE t.id = g.id AND t.fence = g.fence AND {_IS_MINE} OFFSET 0
    ) AS held
), ended AS (
    DELETE FROM kanca.tasks AS t USING worker, ending WHERE t.ctid = ending.tid AND {_IS_MINE} RETURNING t.id
)"""  # noqa: S608 - made of this module's constants
# It waits for a signal, and there was one since it was claimed. (`signals` is null for what does not wait.)
_HAS_NEWS = "COALESCE(t.signals > g.signals, FALSE)"
_CHANGED = f"""
changing AS MATERIALIZED (
    SELECT held.tid, g.* FROM worker, unnest(
        {{id}}::bigint[], {{fence}}::int[], {{state}}::smallint[], {{delay}}::interval[], {{attempt}}::smallint[],
        {{has_progressed}}::boolean[], {{lane}}::smallint[], {{kind}}::smallint[], {{ref}}::uuid[], {{target}}::int[],
        {{detail}}::bytea[], {{signals}}::int[]
    ) AS g (id, fence, state, delay, attempt, has_progressed, lane, kind, ref, target, detail, signals)
    CROSS JOIN LATERAL (
        SELECT t.ctid AS tid FROM kanca.tasks AS t WHERE t.id = g.id AND t.fence = g.fence AND {_IS_MINE} OFFSET 0
    ) AS held
), changed AS (
    UPDATE kanca.tasks AS t
    SET state = CASE WHEN {_HAS_NEWS} THEN {TaskState.READY:d} ELSE g.state END,
        due_at = CASE WHEN NOT {_HAS_NEWS} THEN (SELECT kanca.now()) + g.delay END,
        position = CASE WHEN {_HAS_NEWS} THEN (extract(epoch FROM (SELECT kanca.now())) * 1000000)::bigint
                        ELSE t.position END,
        worker = CASE g.state WHEN 1 THEN t.worker END,
        attempt = COALESCE(g.attempt, t.attempt),
        crashes = CASE WHEN g.has_progressed THEN 0 ELSE t.crashes END,
        lane = CASE WHEN t.crashes >= {SUSPECT_CRASHES} AND NOT g.has_progressed THEN t.lane
                    ELSE COALESCE(g.lane, t.lane) END,
        kind = COALESCE(g.kind, t.kind), ref = COALESCE(g.ref, t.ref), target = COALESCE(g.target, t.target),
        detail = CASE WHEN g.kind IS NULL THEN t.detail ELSE g.detail END
    FROM worker, changing AS g WHERE t.ctid = g.tid AND {_IS_MINE}
    RETURNING t.id
)"""  # noqa: S608 - made of this module's constants

# Who signals a task changes its row, wherever the row is in its life. A statement that had to wait for such a change
# finds the row no longer where it was (`ctid`), and leaves it. With the rows locked before the statement begins, nobody
# can come between; the worker comes first, as everywhere.
_LOCK_WORKER = "SELECT id FROM kanca.workers WHERE id = $1 FOR KEY SHARE"
_LOCK_TASKS = """
SELECT id FROM kanca.tasks WHERE id = ANY ($1::bigint[]) AND state = 1 AND worker = $2 ORDER BY id FOR NO KEY UPDATE
"""

# Two rows for one place, data that do not fit, constraints, limits.
_REFUSALS = ("21", "22", "23", "54")


async def write(engine: PostgresEngine, worker: int, batch: Sequence[Completion]) -> set[int]:
    """Write completions of distinct tasks in one transaction (see ``storage.completions.Write``).

    Those that somebody else changed at that moment follow in a second one.
    """
    written = await _write(engine, worker, batch)
    missed = [completion for completion in batch if completion.task.id not in written]
    return written | await _write(engine, worker, missed, is_locked=True) if missed else written


async def _write(
    engine: PostgresEngine, worker: int, batch: Sequence[Completion], *, is_locked: bool = False
) -> set[int]:
    statement, arguments = _assemble(batch, engine.positions)

    async def run(connection: asyncpg.Connection) -> Any:
        if not is_locked:
            return await connection.fetch(statement, worker, *arguments)
        async with connection.transaction():
            if not await connection.fetch(_LOCK_WORKER, worker):
                return []  # the lease is lost
            if not await connection.fetch(_LOCK_TASKS, [each.task.id for each in batch], worker):
                return []
            return await connection.fetch(statement, worker, *arguments)

    try:
        try:
            rows = await engine.run_hot(run)
        except asyncpg.CheckViolationError as error:
            if not misses_partition(error):
                raise
            await make_partitions(engine, {time_of(row).date() for row in _partitioned_ids(batch)})
            rows = await engine.run_hot(run)
    except (asyncpg.PostgresError, ValueError) as error:
        if isinstance(error, ValueError) or sqlstate_of(error).startswith(_REFUSALS):
            raise Refused from error
        raise
    return {number for (number,) in rows}


def _partitioned_ids(batch: Sequence[Completion]) -> Iterator[Any]:
    for completion in batch:
        records = completion.records
        yield from (outcome.event_id for outcome in records.outcomes)
        yield from (attempt.id for attempt in records.attempts)
        yield from (delivery.event_id for delivery in records.deliveries)
        yield from (step.id for step in records.steps)
        yield from (event.id for event in records.events)
        yield from (field.event_id for field in records.fields)


def _assemble(batch: Sequence[Completion], positions: PositionClock) -> tuple[str, list[list[Any]]]:
    """The statement for a batch, and its arguments but for the worker."""
    ends: list[Row] = []
    changes: list[Change] = []
    for completion in batch:
        if is_end(completion):
            ends.append((completion.task.id, completion.task.fence))
        else:
            changes.append(change_of(completion))
    # In the order in which signals lock tasks, too (see ``storage.signals``).
    ends.sort()
    changes.sort(key=attrgetter("id"))
    arguments = [*arrays_of(ends), *arrays_of(changes)]

    parts: list[Part] = []
    for part in PARTS:
        rows = [
            (completion.task.id, *part.values(row))
            for completion in batch
            for row in part.rows(completion.records)
        ]
        if rows:
            parts.append(part)
            arguments += arrays_of(rows)
    new_tasks = [
        (completion.task.id, *task_row(task, positions))
        for completion in batch
        for task in completion.records.tasks
    ]
    if new_tasks:
        parts.append(_TASKS)
        arguments += arrays_of(new_tasks)
    return _statement(bool(ends), bool(changes), tuple(parts)), arguments


@lru_cache
def _statement(has_ends: bool, has_changes: bool, parts: tuple[Part, ...]) -> str:
    numbers = count(2)

    def places(names: Iterable[str]) -> dict[str, str]:
        return {name: f"${next(numbers)}" for name in names}

    expressions = [_WORKER]
    mine = []
    if has_ends:
        expressions.append(_ENDED.format(**places(("id", "fence"))))
        mine.append("SELECT id FROM ended")
    if has_changes:
        expressions.append(_CHANGED.format(**places(Change._fields)))
        mine.append("SELECT id FROM changed")
    expressions.append(f"mine AS ({' UNION ALL '.join(mine)})")
    expressions += [_insertion(part, numbers) for part in parts]
    return f"WITH {', '.join(expressions)} SELECT id FROM mine"  # noqa: S608 - made of names, never of values


def _insertion(part: Part, numbers: Iterator[int]) -> str:
    names = ", ".join(column.name for column in part.columns)
    rows = unnested((tasks.c.id, *part.columns), numbers)
    return f"""
new_{part.table.name} AS (
    INSERT INTO {part.table.fullname} AS old ({names})
    SELECT {names} FROM {rows} AS new (of_task, {names}) WHERE of_task IN (SELECT mine.id FROM mine)
    {part.on_conflict}
)"""  # noqa: S608 - made of names, never of values
