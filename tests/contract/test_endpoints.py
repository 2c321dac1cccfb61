from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select, update

from kanca.domain.endpoint import (
    RECEIVE_CONTENT_HASH_WEBHOOK_ID,
    RECEIVE_WEBHOOK_ID,
    RESUME_WEBHOOK_ID,
    Dedupe,
    Endpoint,
    EndpointConfig,
    NodeBehavior,
    Secret,
)
from kanca.errors import EndpointNotFound, InvalidInput, InvalidSetting, SlugTaken, WorkflowNotFound
from kanca.storage import endpoints, workflows
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import endpoints as endpoints_table
from kanca.storage.versions import read_versions
from tests.factories import new_endpoint

BOX = SecretBox(["a key of the tests"])
NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


async def test_an_endpoint_comes_back_as_it_was_stored(database: Database) -> None:
    await database.write(workflows.create, "flow", "default", "Flow", "{}", NOW)
    endpoint = new_endpoint(
        slug="orders",
        workflow_id="flow",
        node_id="start",
        config=EndpointConfig(
            allowed_event_types=("order.*",),
            allowed_ips=("10.0.0.0/8",),
            rate_limit_per_minute=0,
            node_behavior=NodeBehavior.START_ONLY,
            dedupe=Dedupe.CONTENT,
            provider_options={"header": "X-Sig"},
        ),
        secrets=(Secret("new"), Secret("öld", NOW + timedelta(days=1))),
        is_paused=True,
        created_at=NOW,
        updated_at=NOW,
    )
    stored = await database.write(endpoints.create, BOX, endpoint)
    assert stored == replace(endpoint, number=stored.number)
    assert stored.number >= 100
    assert await database.read(endpoints.by_webhook_id, BOX, endpoint.webhook_id) == stored
    assert await database.read(endpoints.by_slug, BOX, "orders") == stored
    assert await database.read(endpoints.by_number, BOX, stored.number) == stored


async def test_secrets_are_not_stored_in_clear_and_need_their_key(database: Database) -> None:
    endpoint = await database.write(endpoints.create, BOX, new_endpoint(secrets=(Secret("hush-hush"),)))

    def stored(connection: Connection) -> bytes | None:
        return connection.scalar(
            select(endpoints_table.c.secrets).where(endpoints_table.c.number == endpoint.number)
        )

    sealed = await database.read(stored)
    assert sealed
    assert b"hush" not in sealed
    with pytest.raises(InvalidSetting, match="KANCA_SECRET_KEY"):
        await database.read(endpoints.by_number, SecretBox(["another key of them"]), endpoint.number)


async def test_what_an_older_version_does_not_know_is_stored_only_where_it_is_used(
    database: Database,
) -> None:
    used = EndpointConfig(redact_fields=("data.card",))
    for config in (EndpointConfig(), used):
        await database.write(endpoints.create, BOX, new_endpoint(config=config))

    query = (
        select(endpoints_table.c.config)
        .where(endpoints_table.c.number >= 100)
        .order_by(endpoints_table.c.number)
    )
    stored = await database.read(lambda connection: connection.scalars(query).all())

    assert ["redact_fields" in json.loads(config) for config in stored] == [False, True]
    page = await database.read(endpoints.page, BOX, 2)
    assert [listed.endpoint.config for listed in page.items] == [used, EndpointConfig()]


async def test_every_change_moves_the_version(database: Database) -> None:
    async def version() -> int:
        return (await database.read(read_versions)).get("endpoints", 0)

    seen = [await version()]
    endpoint = await database.write(endpoints.create, BOX, new_endpoint())
    seen.append(await version())
    await database.write(endpoints.change, BOX, endpoint.webhook_id, lambda before: replace(before, name="x"))
    seen.append(await version())
    await database.write(endpoints.delete, endpoint.webhook_id, NOW)
    seen.append(await version())
    assert seen == sorted(set(seen))


async def test_a_slug_belongs_to_one_endpoint_until_it_is_deleted(database: Database) -> None:
    first = await database.write(endpoints.create, BOX, new_endpoint(slug="orders"))
    with pytest.raises(SlugTaken):
        await database.write(endpoints.create, BOX, new_endpoint(slug="orders"))
    second = await database.write(endpoints.create, BOX, new_endpoint(slug="other"))
    with pytest.raises(SlugTaken):
        await database.write(
            endpoints.change, BOX, second.webhook_id, lambda before: replace(before, slug="orders")
        )
    await database.write(endpoints.delete, first.webhook_id, NOW)
    third = await database.write(endpoints.create, BOX, new_endpoint(slug="orders"))
    assert (await database.read(endpoints.by_slug, BOX, "orders")) == third


async def test_of_many_who_want_a_slug_at_once_one_gets_it(database: Database) -> None:
    wishes = (database.write(endpoints.create, BOX, new_endpoint(slug="one")) for _ in range(5))
    answers = await asyncio.gather(*wishes, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Endpoint"] + ["SlugTaken"] * 4


async def test_an_endpoint_of_an_unknown_workflow_is_refused(database: Database) -> None:
    with pytest.raises(WorkflowNotFound):
        await database.write(endpoints.create, BOX, new_endpoint(workflow_id="nowhere"))
    endpoint = await database.write(endpoints.create, BOX, new_endpoint())
    with pytest.raises(WorkflowNotFound):
        await database.write(
            endpoints.change, BOX, endpoint.webhook_id, lambda before: replace(before, workflow_id="nowhere")
        )


async def test_changes_at_the_same_time_do_not_lose_each_other(database: Database) -> None:
    endpoint = await database.write(endpoints.create, BOX, new_endpoint())

    def longer(before: Endpoint) -> Endpoint:
        return replace(before, name=before.name + "x")

    await asyncio.gather(
        *(database.write(endpoints.change, BOX, endpoint.webhook_id, longer) for _ in range(8))
    )
    changed = await database.read(endpoints.by_number, BOX, endpoint.number)
    assert changed is not None
    assert changed.name == "Orders" + "x" * 8


async def test_a_change_keeps_number_id_and_age(database: Database) -> None:
    endpoint = await database.write(endpoints.create, BOX, new_endpoint())
    changed = await database.write(
        endpoints.change, BOX, endpoint.webhook_id, lambda _: new_endpoint(name="All new", created_at=NOW)
    )
    assert (changed.number, changed.webhook_id, changed.created_at, changed.name) == (
        endpoint.number,
        endpoint.webhook_id,
        endpoint.created_at,
        "All new",
    )
    assert await database.read(endpoints.by_webhook_id, BOX, endpoint.webhook_id) == changed


async def test_a_deleted_endpoint_is_found_only_by_its_number(database: Database) -> None:
    endpoint = await database.write(
        endpoints.create, BOX, new_endpoint(slug="gone", secrets=(Secret("hush"),))
    )
    await database.write(endpoints.delete, endpoint.webhook_id, NOW)
    assert await database.read(endpoints.by_webhook_id, BOX, endpoint.webhook_id) is None
    assert await database.read(endpoints.by_slug, BOX, "gone") is None
    found = await database.read(endpoints.by_number, BOX, endpoint.number)
    assert found is not None
    assert not found.is_active
    assert found.secrets == ()
    assert endpoint.number in await database.read(endpoints.names, [endpoint.number])
    with pytest.raises(EndpointNotFound):
        await database.write(endpoints.delete, endpoint.webhook_id, NOW)
    with pytest.raises(EndpointNotFound):
        await database.write(endpoints.change, BOX, endpoint.webhook_id, lambda before: before)


async def test_pages_go_from_the_newest_to_the_end_without_repeating(database: Database) -> None:
    await database.write(workflows.create, "flow", "default", "Flow", "{}", NOW)
    made = [
        await database.write(
            endpoints.create, BOX, new_endpoint(tenant="t", workflow_id="flow" if n % 2 else None)
        )
        for n in range(5)
    ]
    await database.write(endpoints.delete, made[2].webhook_id, NOW)
    wanted = [made[n] for n in (4, 3, 1, 0)]

    first = await database.read(endpoints.page, BOX, limit=3, tenant="t")
    second = await database.read(endpoints.page, BOX, limit=3, tenant="t", cursor=first.next_cursor)
    assert [listed.endpoint for listed in first.items + second.items] == wanted
    assert second.next_cursor is None
    of_flow = await database.read(endpoints.page, BOX, workflow_id="flow")
    assert [listed.endpoint for listed in of_flow.items] == [made[3], made[1]]
    assert (await database.read(endpoints.page, BOX, tenant="other")).items == ()


async def test_a_list_has_those_too_that_cannot_be_read(database: Database) -> None:
    async def made(box: SecretBox = BOX) -> str:
        endpoint = new_endpoint(tenant="t", secrets=(Secret("hush-hush"),))
        return (await database.write(endpoints.create, box, endpoint)).webhook_id

    def older(connection: Connection) -> None:
        ids = [misconfigured, lost]
        query = update(endpoints_table).where(endpoints_table.c.webhook_id.in_(ids))
        connection.execute(query.values(config='{"what_was_dropped":1}'))

    sound, locked = await made(), await made(SecretBox(["another key of them"]))
    misconfigured, lost = await made(), await made(SecretBox(["another key of them"]))
    await database.write(older)
    page = await database.read(endpoints.page, BOX, tenant="t")
    assert [(listed.endpoint.webhook_id, listed.unreadable) for listed in page.items] == [
        (lost, ("config", "secrets")),
        (misconfigured, ("config",)),
        (locked, ("secrets",)),
        (sound, ()),
    ]


@pytest.mark.parametrize("cursor", ["", "!", "bm90LWEtbnVtYmVy", "//8=", "OTk5OTk5OTk5OQ"])
async def test_a_cursor_of_another_list_is_refused(database: Database, cursor: str) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        await database.read(endpoints.page, BOX, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 501])
async def test_a_limit_outside_its_range_is_refused(database: Database, limit: int) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        await database.read(endpoints.page, BOX, limit=limit)


async def test_what_is_built_in_can_be_changed_but_not_deleted(database: Database) -> None:
    for webhook_id in (RECEIVE_WEBHOOK_ID, RECEIVE_CONTENT_HASH_WEBHOOK_ID, RESUME_WEBHOOK_ID):
        with pytest.raises(EndpointNotFound):
            await database.write(endpoints.delete, webhook_id, NOW)
        paused = await database.write(
            endpoints.change, BOX, webhook_id, lambda before: replace(before, is_paused=True)
        )
        assert paused.is_paused


async def test_lists_can_leave_some_out(database: Database) -> None:
    without = [RECEIVE_WEBHOOK_ID, RESUME_WEBHOOK_ID]
    listed = await database.read(endpoints.page, BOX, without=without)
    assert [endpoint.webhook_id for endpoint, _ in listed.items] == [RECEIVE_CONTENT_HASH_WEBHOOK_ID]
