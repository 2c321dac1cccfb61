"""The gateway's side of runs on real databases: resume addresses, and senders that are held."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Connection, insert, select

from kanca.domain.endpoint import EndpointConfig
from kanca.domain.resume_token import KEY_LABEL, RESUME_PATH, ResumeToken, make_token
from kanca.domain.task import TaskKind
from kanca.domain.wait import WaitAddress
from kanca.ingest.asgi import IngestASGI
from kanca.ingest.gateway import Ingest
from kanca.ingest.settings import IngestSettings
from kanca.ingest.store import DatabaseStore
from kanca.ingest.surroundings import Surroundings
from kanca.storage import endpoints
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import answers, events, runs, tasks, workflows
from tests.factories import ids, new_endpoint

BOX = SecretBox(["a-key-of-sixteen-or-more"])
NOW = datetime.now(UTC)


@asynccontextmanager
async def gateway(database: Database) -> AsyncIterator[tuple[httpx.AsyncClient, Ingest]]:
    """An ingest on the database, and somebody who sends."""
    waker = database.waker()
    store = DatabaseStore(database, BOX, None, "gateway-1")
    around = Surroundings(resume_keys=BOX.derived(KEY_LABEL))
    ingest = Ingest(IngestSettings(), database.accepting, store, waker, ids, around)
    transport = httpx.ASGITransport(IngestASGI(ingest))
    async with httpx.AsyncClient(transport=transport, base_url="http://kanca.test") as client:
        yield client, ingest
    await ingest.stop(timedelta(seconds=5))
    await waker.close()


def _stored(connection: Connection) -> list[Any]:
    columns = events.c.id, events.c.endpoint, events.c.type, events.c.request
    return list(connection.execute(select(*columns)))


def _add_workflow(connection: Connection) -> None:
    moments = {"created_at": NOW, "updated_at": NOW}
    connection.execute(
        insert(workflows).values(id="orders", number=1, tenant="default", name="Orders", version=1, **moments)
    )


async def test_a_resume_address_makes_one_event_with_its_task(database: Database) -> None:
    address = WaitAddress(ids.new(), "review")
    token = ResumeToken(address, NOW + timedelta(days=1), "approve")
    path = RESUME_PATH + make_token(BOX.derived(KEY_LABEL), token)

    def add_run(connection: Connection) -> None:
        values = {"id": address.run_id, "workflow_id": "orders", "version": 1, "status": "waiting"}
        connection.execute(insert(runs).values(started_at=NOW, **values))

    await database.write(add_run)
    async with gateway(database) as (client, _):
        page = await client.get(path, headers={"Accept": "text/html"})
        assert await database.read(_stored) == []
        first, *others = await asyncio.gather(*(client.post(path, json={"n": n}) for n in range(5)))
    assert "<dd>orders</dd>" in page.text
    said = [answer.json() for answer in (first, *others)]
    assert sorted(each["status"] for each in said) == ["accepted"] + ["duplicate"] * 4
    [event] = await database.read(_stored)
    assert {each["event_id"] for each in said} == {f"evt_{event.id.hex}"}
    assert (event.endpoint, event.type) == (3, "approval.decided")
    assert json.loads(event.request)["resume"]["wait"] == address.wait_id.hex
    [task] = await database.read(lambda connection: connection.execute(select(tasks)).all())
    assert (task.kind, task.ref) == (TaskKind.DISPATCH, event.id)


async def test_the_stored_endpoint_takes_nothing_without_a_token_and_so_much_of_a_client(
    database: Database,
) -> None:
    stored = await database.read(endpoints.by_number, BOX, 3)
    assert stored is not None
    assert stored.config.authentication_required
    assert (stored.secrets, stored.config.rate_limit_per_minute) == ((), 60)
    async with gateway(database) as (client, _):
        for path in (
            RESUME_PATH,
            RESUME_PATH + "x",
            "/webhooks/resume",
            f"/api/webhooks/{stored.webhook_id}",
        ):
            assert (await client.post(path, json={})).status_code == 404
    assert await database.read(_stored) == []


async def test_a_held_sender_gets_the_row_that_its_run_stored(database: Database) -> None:
    await database.write(_add_workflow)
    config = EndpointConfig(authentication_required=False, response_wait=30)
    endpoint = new_endpoint(workflow_id="orders", config=config)
    await database.write(endpoints.create, BOX, endpoint)

    def answer(connection: Connection, event_id: UUID) -> None:
        said = {"status": 418, "headers": b'{"X-Tea": "green"}', "body": b"short and stout"}
        connection.execute(insert(answers).values(event_id=event_id, created_at=NOW, **said))

    async with gateway(database) as (client, _):
        path = f"/api/webhooks/{endpoint.webhook_id}"
        headers = {"Idempotency-Key": "k-1"}
        posting = asyncio.create_task(client.post(path, json={}, headers=headers))
        while not (found := await database.read(_stored)):
            assert not posting.done()
        await database.write(answer, found[0].id)
        replies = [await posting, await client.post(path, json={}, headers=headers)]
    for reply in replies:
        assert (reply.status_code, reply.headers["x-tea"], reply.text) == (418, "green", "short and stout")
    assert len(await database.read(_stored)) == 1


async def test_a_gateway_that_stops_answers_those_who_are_held(database: Database) -> None:
    await database.write(_add_workflow)
    config = EndpointConfig(authentication_required=False, response_wait=60, response_timeout_status=504)
    endpoint = replace(new_endpoint(workflow_id="orders"), config=config)
    await database.write(endpoints.create, BOX, endpoint)
    async with gateway(database) as (client, ingest):
        posting = asyncio.create_task(client.post(f"/api/webhooks/{endpoint.webhook_id}", json={}))
        while not await database.read(_stored):
            assert not posting.done()
        await ingest.stop(timedelta(seconds=5))
        reply = await posting
    assert (reply.status_code, reply.json()["status"]) == (504, "accepted")
