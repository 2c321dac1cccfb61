"""Work that is added together with other changes, outside the queue's hot statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, insert

from kanca.domain.positions import PositionClock
from kanca.domain.task import NewTask
from kanca.storage.records import TASK_COLUMNS, task_row
from kanca.storage.tables import tasks
from kanca.storage.types import to_microseconds


def add_tasks(connection: Connection, new: Sequence[NewTask], now: datetime) -> None:
    """Add tasks in the transaction of ``connection``. Wake the workers once it has committed."""
    positions = PositionClock(lambda: to_microseconds(now))
    names = [column.name for column in TASK_COLUMNS]
    rows = [dict(zip(names, task_row(task, positions), strict=True)) for task in new]
    if rows:
        connection.execute(insert(tasks), rows)
