from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from kanca.errors import WorkflowExists, WorkflowInUse, WorkflowNotFound
from kanca.storage import endpoints, workflow_history, workflows
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.versions import read_versions
from tests.factories import new_endpoint

BOX = SecretBox(["a key of the tests"])
NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


async def test_a_new_workflow_has_one_version_and_is_not_published(database: Database) -> None:
    created = await database.write(workflows.create, "flow", "acme", "Flow", '{"nodes":[]}', NOW)
    assert created == workflows.Workflow("flow", created.number, "acme", "Flow", 1, None, NOW, NOW)
    assert await database.read(workflows.get, "flow") == created
    assert await database.read(workflows.definition_of, "flow", 1) == workflows.WorkflowVersion(
        "flow", 1, '{"nodes":[]}', NOW
    )
    with pytest.raises(WorkflowExists):
        await database.write(workflows.create, "flow", "acme", "Flow", "{}", NOW)


async def test_each_save_is_a_new_version_that_publishing_makes_live(database: Database) -> None:
    await database.write(workflows.create, "flow", "acme", "Flow", "1", NOW)
    saved = await database.write(workflows.save, "flow", "Flow 2", "2", LATER)
    assert (saved.version, saved.published_version, saved.name, saved.updated_at) == (
        2,
        None,
        "Flow 2",
        LATER,
    )
    assert (await database.write(workflows.publish, "flow", LATER)).published_version == 2
    assert (await database.write(workflows.publish, "flow", LATER, version=1)).published_version == 1
    assert (await database.write(workflows.save, "flow", "Flow 3", "3", LATER)).published_version == 1
    assert (await database.write(workflows.unpublish, "flow", LATER)).published_version is None
    first = await database.read(workflows.definition_of, "flow", 1)
    assert first is not None
    assert first.definition == "1"


async def test_what_does_not_exist_is_said_so(database: Database) -> None:
    await database.write(workflows.create, "flow", "acme", "Flow", "1", NOW)
    assert await database.read(workflows.get, "other") is None
    assert await database.read(workflows.definition_of, "flow", 2) is None
    with pytest.raises(WorkflowNotFound):
        await database.write(workflows.publish, "flow", NOW, version=2)
    with pytest.raises(WorkflowNotFound):
        await database.write(workflows.publish, "other", NOW)
    with pytest.raises(WorkflowNotFound):
        await database.write(workflows.unpublish, "other", NOW)
    with pytest.raises(WorkflowNotFound):
        await database.write(workflows.save, "other", "Other", "{}", NOW)
    with pytest.raises(WorkflowNotFound):
        await database.write(workflows.remove, "other")


async def test_a_workflow_that_endpoints_use_stays(database: Database) -> None:
    await database.write(workflows.create, "flow", "default", "Flow", "1", NOW)
    endpoint = await database.write(endpoints.create, BOX, new_endpoint(workflow_id="flow"))
    with pytest.raises(WorkflowInUse, match=endpoint.webhook_id):
        await database.write(workflows.remove, "flow")
    await database.write(endpoints.delete, endpoint.webhook_id, NOW)
    await database.write(workflows.remove, "flow")
    assert await database.read(workflows.get, "flow") is None


async def test_a_workflow_is_never_deleted_under_an_endpoint_that_is_being_created(
    database: Database,
) -> None:
    for number in range(10):
        name = f"flow-{number}"
        await database.write(workflows.create, name, "default", "Flow", "1", NOW)
        created, removed = await asyncio.gather(
            database.write(endpoints.create, BOX, new_endpoint(workflow_id=name)),
            database.write(workflows.remove, name),
            return_exceptions=True,
        )
        assert isinstance(created, WorkflowNotFound) is (removed is None)


async def test_versions_and_numbers_are_never_given_twice(database: Database) -> None:
    first = await database.write(workflows.create, "flow", "default", "Flow", "old", NOW)
    await database.write(workflows.remove, "flow")
    second = await database.write(workflows.create, "flow", "default", "Flow", "new", NOW)
    assert second.number > first.number
    assert second.version == 2
    old = await database.read(workflows.definition_of, "flow", 1)
    assert old is not None
    assert old.definition == "old"


async def test_workflows_are_listed_by_id(database: Database) -> None:
    for name in ("b", "d", "a", "c"):
        await database.write(workflows.create, name, "t1" if name < "c" else "t2", name, "{}", NOW)
    first = await database.read(workflows.page, limit=3)
    second = await database.read(workflows.page, limit=3, cursor=first.next_cursor)
    assert [each.id for each in (*first.items, *second.items)] == ["a", "b", "c", "d"]
    assert second.next_cursor is None
    assert [each.id for each in (await database.read(workflows.page, tenant="t2")).items] == ["c", "d"]


async def test_published_workflows_are_found_that_need_more_than_these_node_types(database: Database) -> None:
    for name, node_types in (
        ("a", ["Log", "Own"]),
        ("b", ["Log"]),
        ("c", ["Own", "Log", "Log"]),
        ("d", ["Own"]),
    ):
        await database.write(workflows.create, name, "default", name, "{}", NOW, node_types)
        if name != "d":
            await database.write(workflows.publish, name, NOW)
    a, b, c = [await database.read(workflows.get, name) for name in "abc"]
    assert a is not None
    assert b is not None
    assert c is not None
    both = frozenset({"Log", "Own"})

    assert await database.read(workflows.beyond, ["Log"]) == [(a.number, "a", both), (c.number, "c", both)]
    assert await database.read(workflows.beyond, ["Log", "Own", "Other"]) == []

    await database.write(workflows.save, "a", "a", "{}", NOW, ["Log"])
    await database.write(workflows.publish, "a", NOW)
    await database.write(workflows.save, "b", "b", "{}", NOW, ["Own"])
    assert [each.id for each in await database.read(workflows.beyond, ["Log"])] == ["c"]


async def test_the_history_says_what_was_saved_and_published_when(database: Database) -> None:
    await database.write(workflows.create, "flow", "default", "Flow", "1", NOW)
    await database.write(workflows.publish, "flow", LATER)
    await database.write(workflows.save, "flow", "Flow", "2", LATER)
    await database.write(workflows.save, "flow", "Flow", "3", LATER)
    await database.write(workflows.create, "other", "default", "Other", "1", NOW)

    first = await database.read(workflow_history.history, "flow", limit=2)
    second = await database.read(workflow_history.history, "flow", limit=2, cursor=first.next_cursor)
    published = await database.read(workflows.definition_of, "flow", 1)

    assert [tuple(entry) for entry in first.items] == [(3, LATER, None), (2, LATER, None)]
    assert [tuple(entry) for entry in second.items] == [(1, NOW, LATER)]
    assert second.next_cursor is None
    assert published is not None
    assert published.published_at == LATER


async def test_the_way_back_is_to_what_was_published_before(database: Database) -> None:
    flow = await database.write(workflows.create, "flow", "default", "Flow", "1", NOW)
    await database.write(workflows.publish, "flow", NOW)
    await database.write(workflows.save, "flow", "Flow", "2", NOW)
    await database.write(workflows.save, "flow", "Flow", "3", NOW)
    assert await database.read(workflow_history.published_before, flow) == 1

    third = await database.write(workflows.publish, "flow", NOW + timedelta(minutes=1))
    assert await database.read(workflow_history.published_before, third) == 1
    first = await database.write(workflows.publish, "flow", NOW + timedelta(minutes=2), version=1)
    assert await database.read(workflow_history.published_before, first) == 3
    none = await database.write(workflows.unpublish, "flow", NOW + timedelta(minutes=3))
    assert await database.read(workflow_history.published_before, none) == 1

    await database.write(workflows.remove, "flow")
    again = await database.write(workflows.create, "flow", "default", "Flow", "4", LATER)
    assert await database.read(workflow_history.published_before, again) is None


async def test_a_workflow_has_a_draft_while_its_newest_version_is_not_the_published_one(
    database: Database,
) -> None:
    assert (await database.write(workflows.create, "flow", "default", "Flow", "1", NOW)).has_draft
    assert not (await database.write(workflows.publish, "flow", NOW)).has_draft
    assert (await database.write(workflows.save, "flow", "Flow", "2", NOW)).has_draft


async def test_a_workflow_is_paused_and_every_process_learns_of_it(database: Database) -> None:
    await database.write(workflows.create, "flow", "default", "Flow", "1", NOW)
    before = (await database.read(read_versions))["workflows"]

    paused = await database.write(workflows.set_paused, "flow", LATER, is_paused=True)
    resumed = await database.write(workflows.set_paused, "flow", LATER, is_paused=False)

    assert (paused.is_paused, resumed.is_paused, paused.updated_at) == (True, False, LATER)
    assert (await database.read(read_versions))["workflows"] == before + 2
    with pytest.raises(WorkflowNotFound):
        await database.write(workflows.set_paused, "other", NOW, is_paused=True)


async def test_a_workflow_is_read_with_a_version_of_its_own(database: Database) -> None:
    await database.write(workflows.create, "flow", "default", "Flow", "1", NOW)
    await database.write(workflows.save, "flow", "Flow", "2", NOW)

    assert (await database.read(workflows.version_of, "flow"))[1].definition == "2"
    assert (await database.read(workflows.version_of, "flow", 1))[1].definition == "1"
    for missing in (("flow", 3), ("other", None), ("other", 1)):
        with pytest.raises(WorkflowNotFound):
            await database.read(workflows.version_of, *missing)
