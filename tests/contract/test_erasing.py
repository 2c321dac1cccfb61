from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, func, select

from kanca.domain.api_key import ApiKey, Role
from kanca.domain.endpoint import BUILT_IN_IDS
from kanca.domain.ids import derived_id
from kanca.domain.job import Job, JobKind, JobStatus
from kanca.domain.status import RunOrigin, RunStatus
from kanca.domain.task import NewTask, RunChange, TaskKind
from kanca.errors import JobOver
from kanca.storage import api_keys, endpoints, erasing, event_list, jobs, runs, subscriptions, workflows
from kanca.storage.event_list import EventFilter
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import endpoints as endpoint_rows
from kanca.storage.tables import feed, metadata, tasks
from kanca.workers.job_doer import JobDoer
from tests.api.rows import accept, store
from tests.factories import ids, new_endpoint, new_event, new_subscription
from tests.planted import MARKER, id_at, places_of_marker, plant, resume

BOX = SecretBox(["a key of the tests"])
NOW = datetime.now(UTC)


async def ask(database: Database, tenant: str = "acme", *, configuration: bool = False) -> UUID:
    """A job that erases what came until now."""
    job = Job(
        ids.new(),
        JobKind.ERASE_TENANT,
        tenant,
        {erasing.WITH_CONFIGURATION: configuration},
        0,
        datetime.now(UTC) + timedelta(seconds=1),
    )
    await database.write(jobs.create, job)
    return job.id


async def erase(database: Database, *, configuration: bool = False) -> Job:
    job_id = await ask(database, configuration=configuration)
    await JobDoer(database, database.waker()).run_once()
    job = await database.read(jobs.get, job_id)
    assert job.status is JobStatus.FINISHED
    return job


async def events_of(database: Database, tenant: str) -> list[UUID]:
    page = await database.read(event_list.page, EventFilter(tenant=tenant))
    return [item.event.id for item in page.items]


async def rows(database: Database) -> dict[str, int]:
    """How many rows the tables have that are about events."""

    def count(connection: Any) -> dict[str, int]:
        found = {
            table.name: connection.scalar(select(func.count()).select_from(table))
            for table in metadata.tables.values()
        }
        return {name: number for name, number in found.items() if number and name not in _NOT_ABOUT_EVENTS}

    return await database.read(count)


_NOT_ABOUT_EVENTS = {"jobs", "versions", "endpoints", "statistics", "subscriptions", "workflows", "feed"}
"""The feed is in the order in which events came, which is not that of the days at which these are planted."""


async def test_nothing_of_a_tenant_is_left_and_all_of_the_others(database: Database) -> None:
    kept = await plant(database, tenant="other")
    alone = await rows(database)
    for days in (0, 1, 3):
        await plant(database, NOW - timedelta(days=days), tenant="acme")

    job = await erase(database)

    assert (job.counts["events"], job.counts["runs"], job.counts["dead_letters"]) == (3, 6, 3)
    assert await rows(database) == alone
    assert (await events_of(database, "acme"), await events_of(database, "other")) == ([], [kept.id])


async def test_no_table_and_no_file_says_what_the_tenant_s_events_said(database: Database) -> None:
    await plant(database, tenant="acme")
    await plant(database, tenant="acme", is_open=True)
    assert await places_of_marker(database) != set()

    await erase(database)

    assert await places_of_marker(database) == set()


async def test_the_feed_does_not_know_that_they_were_there(database: Database) -> None:
    theirs = [await accept(database, tenant="acme"), await accept(database, tenant="acme")]
    kept = [await accept(database, tenant="other"), await accept(database, tenant="acme")]

    await database.write(erasing.erase_events, [each.id for each in theirs], NOW)

    def in_feed(connection: Connection) -> list[UUID]:
        return list(connection.scalars(select(feed.c.event_id).order_by(feed.c.number)))

    assert await database.read(in_feed) == [each.id for each in kept]


async def test_work_that_goes_on_is_taken_out_of_the_queue(database: Database) -> None:
    event = await plant(database, tenant="acme", is_open=True)
    run = derived_id(event.id, "workflow:w")
    await database.queue.enqueue([NewTask(TaskKind.RUN, run, 1), NewTask(TaskKind.DELIVER, event.id, 9)])
    other = await plant(database, tenant="other", is_open=True)

    await erase(database)

    left = await database.read(lambda connection: connection.scalars(select(tasks.c.ref)).all())
    assert left == [other.id]


async def test_a_run_of_another_tenant_that_an_event_resumed_stays_without_what_it_was_told(
    database: Database,
) -> None:
    starter, resumer = await plant(database, tenant="other"), await plant(database, tenant="acme")
    await resume(database, resumer, derived_id(starter.id, "workflow:w"))

    await erase(database)

    run = await database.read(runs.get, derived_id(starter.id, "workflow:w"))
    assert run is not None
    assert MARKER.encode() not in (run.output or b"")


async def test_runs_that_no_event_started_go_with_their_workflow_s_tenant(database: Database) -> None:
    for name, tenant in (("w-acme", "acme"), ("w-other", "other")):
        await database.write(workflows.create, name, tenant, name, "{}", NOW, set())
        run = RunChange(id_at(NOW), name, 1, None, RunStatus.WAITING, NOW, b"1", origin=RunOrigin.HAND)
        await store(database, run)

    await erase(database)

    page = await database.read(runs.page)
    assert [run.workflow_id for run in page.items] == ["w-other"]


async def test_runs_of_a_workflow_that_had_the_same_id_before_are_not_taken_for_the_tenant_s(
    database: Database,
) -> None:
    for hours in (2, -2):
        at = NOW + timedelta(hours=hours)
        run = RunChange(id_at(NOW), "w", 1, None, RunStatus.SUCCEEDED, at, b"1", at, origin=RunOrigin.HAND)
        await store(database, run)
    await database.write(workflows.create, "w", "acme", "w", "{}", NOW, set())

    await erase(database)

    [left] = (await database.read(runs.page)).items
    assert left.started_at < NOW


async def test_what_was_configured_goes_where_it_is_asked_for(database: Database) -> None:
    for tenant in ("acme", "other"):
        await database.write(workflows.create, f"w-{tenant}", tenant, MARKER, "{}", NOW, set())
        endpoint = new_endpoint(tenant=tenant, name=MARKER, slug=f"s-{tenant}", workflow_id=f"w-{tenant}")
        await database.write(endpoints.create, BOX, endpoint)
        subscription = new_subscription(tenant=tenant, name=MARKER, url=f"https://{tenant}.example")
        await database.write(subscriptions.create, BOX, subscription)
        for name in ("one", "two"):
            key = ApiKey(ids.new(), name, "knc_…", Role.ADMIN, tenant, NOW, "admin_key")
            await database.write(api_keys.create, key, f"{tenant} {name}".encode())
    before = await database.read(erasing.count_all, "acme", configuration=True)

    await erase(database)
    assert await database.read(erasing.count_all, "acme", configuration=True) == before
    job = await erase(database, configuration=True)

    assert {name: job.counts[name] for name in ("endpoints", "subscriptions", "workflows", "api_keys")} == {
        "endpoints": 1,
        "subscriptions": 1,
        "workflows": 1,
        "api_keys": 2,
    }
    deleted = select(endpoint_rows.c.deleted_at).where(endpoint_rows.c.tenant == "acme")
    assert await database.read(lambda connection: connection.scalars(deleted).one()) is not None
    keys = (await database.read(api_keys.page)).items
    assert {(key.tenant, key.name, key.revoked_at is not None) for key in keys} == {
        ("acme", "erased", True),
        ("other", "one", False),
        ("other", "two", False),
    }
    left = await database.read(erasing.count_all, "acme", configuration=True)
    assert set(left.values()) == {0}
    page = await database.read(endpoints.page, BOX, without=BUILT_IN_IDS)
    assert [each.endpoint.tenant for each in page.items] == ["other"]
    assert [each.subscription.tenant for each in (await database.read(subscriptions.read_all, BOX))] == [
        "other"
    ]


async def test_an_erasure_goes_on_where_it_stopped_and_two_do_not_do_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "LOOKED_AT", 3)
    monkeypatch.setattr(erasing, "ERASED", 2)
    batch = [new_event(tenant=tenant) for tenant in ["acme", "other"] * 6]
    await database.accepting.append(batch)
    job_id = await ask(database)
    do = {JobKind.ERASE_TENANT: erasing.erase_portion}
    assert await database.write(jobs.advance, job_id, do, NOW)
    begun = await database.read(jobs.get, job_id)
    assert 0 < begun.counts["events"] < 6

    both = [JobDoer(database, database.waker()).run_once() for _ in range(2)]
    await asyncio.gather(*both)
    await JobDoer(database, database.waker()).run_once()

    job = await database.read(jobs.get, job_id)
    assert (job.status, job.counts["events"]) == (JobStatus.FINISHED, 6)
    assert len(await events_of(database, "other")) == 6


async def test_a_job_that_is_cancelled_does_nothing_more(database: Database) -> None:
    await plant(database, tenant="acme")
    job_id = await ask(database)

    cancelled = await database.write(jobs.cancel, job_id, NOW)
    await JobDoer(database, database.waker()).run_once()

    assert cancelled.status is JobStatus.CANCELLED
    assert len(await events_of(database, "acme")) == 1
    with pytest.raises(JobOver):
        await database.write(jobs.cancel, job_id, NOW)
