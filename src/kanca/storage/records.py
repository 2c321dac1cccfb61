"""Where the parts of ``Records`` are kept, for both databases.

The rows of ``kanca.domain.task`` have the same fields as their tables have columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import Column, Table

from kanca.domain.positions import PositionClock
from kanca.domain.task import NewTask, Records, lane_of
from kanca.storage.tables import (
    answers,
    attempts,
    dead_letters,
    deliveries,
    event_fields,
    events,
    outcomes,
    runs,
    steps,
    tasks,
)

Row = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Part:
    """One part of ``Records``: where its rows go."""

    table: Table
    columns: Sequence[Column[Any]]
    rows: Callable[[Records], Sequence[Any]]
    values: Callable[[Any], Row]
    """The values of a row, in the order of ``columns``."""
    on_conflict: str = ""
    """What happens to a row that is there already, as both databases write it; the old one is called ``old``."""


def _part(
    name: str, table: Table, *, is_replaced: bool = False, keeps: Sequence[str] = (), once: Sequence[str] = ()
) -> Part:
    """Describe the part of that name.

    A row that is there already is an error, or else it ``is_replaced``: but for the columns ``once``, which never
    change, and those that it ``keeps`` where the new row has nothing.
    """
    columns = tuple(table.columns)
    on_conflict = ""
    if is_replaced:
        key = [column.name for column in table.primary_key]
        changes = [
            f"{c.name} = COALESCE(excluded.{c.name}, old.{c.name})"
            if c.name in keeps
            else f"{c.name} = excluded.{c.name}"
            for c in columns
            if c.name not in {*key, *once}
        ]
        on_conflict = f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(changes)}"
    return Part(table, columns, attrgetter(name), attrgetter(*(c.name for c in columns)), on_conflict)


_OF_A_RUN_FOR_EVER = (
    "event_id",
    "started_at",
    "origin",
    "parent_run_id",
    "parent_wait",
    "is_test",
    "cancel_requested_at",
)

PARTS = (
    # How many pieces of work an event has is said once; a retried piece does not know it.
    _part("outcomes", outcomes, is_replaced=True, keeps=("works",)),
    _part("attempts", attempts),
    _part("dead_letters", dead_letters),
    _part("runs", runs, is_replaced=True, keeps=("input",), once=_OF_A_RUN_FOR_EVER),
    # A person may have a step run again: its id stays.
    _part("steps", steps, is_replaced=True),
    # Their ids are derived from the step: done again, it publishes the same event.
    _part("events", events),
    _part("answers", answers, is_replaced=True),
    _part("deliveries", deliveries, is_replaced=True),
    # A dispatch may be done again.
    _part("fields", event_fields, is_replaced=True),
)

TASK_COLUMNS = tuple(
    tasks.c[name]
    for name in ("kind", "state", "lane", "target", "position", "ref", "due_at", "order_key", "detail")
)


def task_row(task: NewTask, positions: PositionClock) -> Row:
    """The values of ``TASK_COLUMNS`` for a new task."""
    return (
        task.kind,
        task.state,
        lane_of(task.kind, task.target),
        task.target,
        positions.next(task.kind, task.target),
        task.ref,
        task.due_at,
        task.order_key,
        task.detail,
    )
