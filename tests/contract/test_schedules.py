from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kanca.errors import InvalidInput
from kanca.storage import schedules, workflows
from kanca.storage.ports import Database
from kanca.storage.schedules import NewSchedule

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def new(node_id: str, next_at: datetime = NOW) -> NewSchedule:
    return NewSchedule(node_id, "0 * * * *", "UTC", "once", next_at)


async def published(database: Database, workflow_id: str, *added: NewSchedule) -> int:
    created = await database.write(workflows.create, workflow_id, "default", workflow_id, "{}", NOW)
    await database.write(workflows.publish, workflow_id, NOW)
    await database.write(schedules.replace, created.number, workflow_id, 1, added)
    return created.number


async def test_what_is_due_comes_longest_overdue_first(database: Database) -> None:
    await published(database, "flow", new("b"), new("a", NOW + HOUR), new("c", NOW - HOUR))
    await published(database, "other", new("a", NOW - 2 * HOUR))
    assert await database.read(schedules.soonest) == NOW - 2 * HOUR
    due = await database.write(schedules.due, NOW, 10)
    assert [(each.workflow_id, each.node_id) for each in due] == [
        ("other", "a"),
        ("flow", "c"),
        ("flow", "b"),
    ]
    assert len(await database.write(schedules.due, NOW, 2)) == 2
    await database.write(schedules.move_on, due[0], NOW + 3 * HOUR, NOW)
    assert await database.read(schedules.soonest) == NOW - HOUR


async def test_only_the_published_version_is_due(database: Database) -> None:
    await published(database, "flow", new("a"))
    await database.write(workflows.save, "flow", "flow", "{}", NOW)
    assert len(await database.write(schedules.due, NOW, 10)) == 1
    # Without saying what the schedules are from now on.
    await database.write(workflows.publish, "flow", NOW)
    assert await database.write(schedules.due, NOW, 10) == []


async def test_schedules_are_listed_by_workflow_and_node_page_by_page(database: Database) -> None:
    await published(database, "b", new("x"), new("w"))
    await published(database, "a", new("y"), new("z"))
    listed: list[tuple[str, str]] = []
    cursor = None
    for limit in (1, 2, 2):
        page = await database.read(schedules.page, limit, cursor)
        listed += [(each.workflow_id, each.node_id) for each in page.items]
        cursor = page.next_cursor
    assert listed == [("a", "y"), ("a", "z"), ("b", "w"), ("b", "x")]
    assert cursor is None
    assert len((await database.read(schedules.page, 50, None, "b")).items) == 2
    with pytest.raises(InvalidInput):
        await database.read(schedules.page, 50, "AA")
