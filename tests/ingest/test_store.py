"""Ingest on real databases: endpoints, originals, books, and the whole way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, insert, select

from kanca.domain.endpoint import RECEIVE_CONTENT_HASH_WEBHOOK_ID, RECEIVE_WEBHOOK_ID, Endpoint
from kanca.domain.event import NewEvent
from kanca.domain.ids import IdFactory
from kanca.domain.status import EventStatus, OutcomeStatus
from kanca.domain.task import DeadLetter, Outcome
from kanca.ingest.asgi import IngestASGI
from kanca.ingest.gateway import Ingest
from kanca.ingest.settings import IngestSettings
from kanca.ingest.store import DatabaseStore
from kanca.storage import audit, dead_letters, endpoints, rejections, statistics
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import dead_letters as letter_table
from kanca.storage.tables import events, outcomes, tasks
from tests.factories import a_dead_letter, an_outcome, new_endpoint, new_event
from tests.ingest.site import BEARER, ENVELOPE, JSON, SECRET, Site, Waker, endpoint, signed

BOX = SecretBox(["a-key-of-sixteen-or-more"])
BUILT_IN = [RECEIVE_WEBHOOK_ID, RECEIVE_CONTENT_HASH_WEBHOOK_ID]


def store_on(database: Database, secret: str | None = SECRET, writer: str = "gateway-1") -> DatabaseStore:
    return DatabaseStore(database, BOX, SecretStr(secret) if secret else None, writer)


@pytest.fixture
def store(database: Database) -> DatabaseStore:
    return store_on(database)


async def add(database: Database, **values: Any) -> Endpoint:
    return await database.write(endpoints.create, BOX, new_endpoint(**values))


# --- endpoints ------------------------------------------------------------------------------------------------------


async def test_endpoints_are_found_by_id_and_by_slug(database: Database, store: DatabaseStore) -> None:
    one, other = await add(database, slug="one"), await add(database)
    keys = [one.webhook_id, "/one", other.webhook_id, "/other", "wh_" + "0" * 24]
    assert await store.find_endpoints(keys) == {
        one.webhook_id: one,
        "/one": one,
        other.webhook_id: other,
    }


async def test_every_change_moves_the_version(database: Database, store: DatabaseStore) -> None:
    versions = [await store.endpoints_version()]
    one = await add(database)
    versions.append(await store.endpoints_version())
    await database.write(endpoints.change, BOX, one.webhook_id, lambda found: replace(found, name="New"))
    versions.append(await store.endpoints_version())
    await database.write(endpoints.delete, one.webhook_id, datetime.now(UTC))
    versions.append(await store.endpoints_version())
    assert versions == sorted(set(versions))
    assert await store.find_endpoints([one.webhook_id]) == {}


async def test_the_built_in_endpoints_check_with_the_secret_of_the_settings(
    database: Database, store: DatabaseStore
) -> None:
    found = await store.find_endpoints(BUILT_IN)
    for webhook_id, made in found.items():
        assert (made.webhook_id, made.provider, made.is_active) == (webhook_id, "kanca", True)
        assert [secret.value for secret in made.secrets] == [SECRET]
    assert found.keys() == set(BUILT_IN)
    stored = await database.read(endpoints.by_webhook_id, BOX, RECEIVE_WEBHOOK_ID)
    assert stored is not None
    assert stored.secrets == ()


async def test_without_a_secret_there_are_no_built_in_endpoints(database: Database) -> None:
    store = store_on(database, None)
    assert await store.find_endpoints(BUILT_IN) == {}
    await store_on(database).find_endpoints(BUILT_IN)
    assert await store.find_endpoints(BUILT_IN) == {}


async def test_an_endpoint_gets_one_first_secret_only(database: Database, store: DatabaseStore) -> None:
    waiting = await add(database, provider="asana", secrets=())
    version = await store.endpoints_version()

    brought = await asyncio.gather(
        *(store.set_first_secret(waiting.webhook_id, f"secret-{number}") for number in range(3))
    )

    found = (await store.find_endpoints([waiting.webhook_id]))[waiting.webhook_id]
    assert sorted(brought) == [False, False, True]
    assert [secret.value for secret in found.secrets] == [f"secret-{brought.index(True)}"]
    assert found.secrets[0].expires_at is None
    assert await store.endpoints_version() > version
    assert await store.set_first_secret(waiting.webhook_id, found.secrets[0].value)
    assert not await store.set_first_secret("wh_" + "0" * 24, "secret")
    [entry] = (await database.read(audit.page)).items
    assert (str(entry.actor), entry.action, entry.subject_id) == (
        "system handshake",
        "endpoint.secret_set",
        waiting.webhook_id,
    )
    assert entry.after == {"secrets": [{"value": "[redacted]", "expires_at": None}]}


# --- originals ------------------------------------------------------------------------------------------------------


def _record(connection: Connection, outcome: Outcome, letter: DeadLetter | None = None) -> None:
    connection.execute(insert(outcomes).values(**asdict(outcome)))
    if letter is not None:
        connection.execute(insert(letter_table).values(**asdict(letter)))


def _forget_tasks(connection: Connection) -> None:
    connection.execute(tasks.delete())


async def _accepted(database: Database) -> NewEvent:
    event = new_event(correlation_id="c-7")
    await database.accepting.append([event])
    return event


async def test_an_original_whose_work_is_open_is_pending(database: Database, store: DatabaseStore) -> None:
    event = await _accepted(database)
    [original] = await store.originals([event.id])
    assert (original.id, original.correlation_id) == (event.id, "c-7")
    assert original.received_at == event.received_at
    assert (original.status, original.processed_at, original.result) == (EventStatus.PENDING, None, b"null")


async def test_an_original_says_what_its_work_gave(database: Database, store: DatabaseStore) -> None:
    event = await _accepted(database)
    outcome = an_outcome(event, result=b'{"ok":true}')
    await database.write(_record, outcome)
    [original] = await store.originals([event.id])
    assert (original.status, original.result) == (EventStatus.SUCCEEDED, b'{"ok":true}')
    assert original.processed_at == outcome.finished_at
    assert not original.is_retried


async def test_originals_are_answered_in_the_order_asked_for(
    database: Database, store: DatabaseStore
) -> None:
    one, other = await _accepted(database), await _accepted(database)
    await database.write(_record, an_outcome(other, result=b"2"))
    answers = await store.originals([other.id, one.id, other.id])
    assert [(answer.id, answer.result) for answer in answers] == [
        (other.id, b"2"),
        (one.id, b"null"),
        (other.id, b"2"),
    ]


async def test_dead_work_of_an_original_is_begun_again_once(database: Database, store: DatabaseStore) -> None:
    event = await _accepted(database)
    await database.write(_record, an_outcome(event, status=OutcomeStatus.DEAD), a_dead_letter(event))
    await database.write(_forget_tasks)
    found = await asyncio.gather(*[store.originals([event.id]) for _ in range(5)])
    answers = [answer for answers in found for answer in answers]
    assert [answer.is_retried for answer in answers].count(True) == 1
    assert {answer.status for answer in answers} == {EventStatus.PENDING}
    assert await database.read(dead_letters.count) == 0
    assert len(await database.read(lambda connection: connection.execute(select(tasks)).all())) == 1
    [original] = await store.originals([event.id])
    assert (original.status, original.is_retried) == (EventStatus.PENDING, False)


async def test_dead_work_that_a_person_gave_up_stays_dead(database: Database, store: DatabaseStore) -> None:
    event = await _accepted(database)
    await database.write(_record, an_outcome(event, status=OutcomeStatus.DEAD))
    [original] = await store.originals([event.id])
    assert (original.status, original.is_retried) == (EventStatus.DEAD, False)


async def test_an_original_that_retention_took_has_at_least_its_time(
    database: Database, store: DatabaseStore
) -> None:
    gone = IdFactory(lambda: 1_700_000_000.25).new()
    [original] = await store.originals([gone])
    assert original.received_at == datetime.fromtimestamp(1_700_000_000.25, UTC)


# --- the whole way ----------------------------------------------------------------------------------------------------


class RealSite(Site):
    """A gateway on a real database."""

    def __init__(self, database: Database, writer: str) -> None:
        super().__init__({})
        self.waker = Waker()
        store = store_on(database, writer=writer)
        self.ingest = Ingest(IngestSettings(), database.accepting, store, self.waker, IdFactory())
        self.app = IngestASGI(self.ingest)


@pytest.fixture
async def here(database: Database) -> AsyncIterator[RealSite]:
    site = RealSite(database, "gateway-1")
    await site.ingest.start()
    yield site
    await site.ingest.stop(timedelta(seconds=5))


def _paths(found: Endpoint) -> str:
    return f"/api/webhooks/{found.webhook_id}"


async def _add_open(database: Database, provider: str = "generic", **config: Any) -> Endpoint:
    pattern = endpoint(provider, **config)
    return await add(database, provider=provider, slug="shop", config=pattern.config, secrets=pattern.secrets)


async def test_what_is_accepted_is_stored_with_its_task_and_found_again(
    database: Database, here: RealSite
) -> None:
    found = await _add_open(database)
    body = b'{"event_type":"order.created","event_id":"o-1","data":{"text":"\\u0000 \\ud800"}}'
    first = await here.post(body, BEARER | JSON, path=_paths(found))
    again = await here.post(body, BEARER | JSON, path="/webhooks/shop")
    assert (first.status, again.status) == (200, 200)
    assert again.json()["status"] == "duplicate"
    for name in ("event_id", "received_at", "correlation_id", "webhook_id"):
        assert again.json()[name] == first.json()[name], name
    [stored] = await database.read(lambda connection: connection.execute(select(events)).all())
    assert f"evt_{stored.id.hex}" == first.json()["event_id"]
    assert (stored.body, stored.endpoint, stored.source_event_id) == (body, found.number, "o-1")
    [task] = await database.read(lambda connection: connection.execute(select(tasks)).all())
    assert (task.ref, task.target) == (stored.id, found.number)
    assert here.waker.wakes == 1


async def test_fifty_copies_at_two_gateways_are_one_event(database: Database, here: RealSite) -> None:
    found = await _add_open(database, "github")
    other = RealSite(database, "gateway-2")
    body = b'{"action":"opened"}'
    headers = JSON | signed(body, "x-hub-signature-256", "sha256=") | {"x-github-event": "issues"}
    replies = await asyncio.gather(
        *[site.post(body, headers, path=_paths(found)) for _ in range(25) for site in (here, other)]
    )
    assert {reply.status for reply in replies} == {200}
    assert len({reply.json()["event_id"] for reply in replies}) == 1
    assert sorted(reply.json()["status"] for reply in replies) == ["accepted"] + ["duplicate"] * 49
    assert len(await database.read(lambda connection: connection.execute(select(events.c.id)).all())) == 1
    await other.ingest.stop(timedelta(seconds=5))


async def test_a_duplicate_of_dead_work_tries_it_again(database: Database, here: RealSite) -> None:
    found = await _add_open(database)
    first = await here.post(ENVELOPE, BEARER, path=_paths(found))
    [row] = await database.read(lambda connection: connection.execute(select(events)).all())
    event = new_event(id=row.id, endpoint=found.number)
    await database.write(_record, an_outcome(event, status=OutcomeStatus.DEAD), a_dead_letter(event))
    again = (await here.post(ENVELOPE, BEARER, path=_paths(found))).json()
    assert again["event_id"] == first.json()["event_id"]
    assert (again["status"], again["retried"], again["event_status"]) == ("duplicate", True, "pending")
    assert await database.read(dead_letters.count) == 0


async def test_the_built_in_endpoint_works_on_a_fresh_database(database: Database, here: RealSite) -> None:
    body = json.dumps(ENVELOPE).encode()
    for status in ("accepted", "already_accepted"):
        reply = await here.post(body, signed(body), path="/webhooks/receive")
        assert (reply.status, reply.json()["status"]) == (200, status)
    for status in ("accepted", "duplicate_detected"):
        reply = await here.post(body, signed(body), path="/webhooks/receive-content-hash")
        assert (reply.status, reply.json()["status"]) == (200, status)


async def test_the_books_are_stored_when_a_gateway_stops(database: Database) -> None:
    found = await _add_open(database)
    site = RealSite(database, "gateway-1")
    await site.post(ENVELOPE, BEARER, path=_paths(found))
    await site.post(ENVELOPE, BEARER, path=_paths(found))
    await site.post(ENVELOPE, {"user-agent": "caf\xe9 \x80"}, path=_paths(found))
    await site.ingest.stop(timedelta(seconds=5))
    now = datetime.now(UTC)
    counted = (await database.read(statistics.of_endpoints, [found.number], now))[found.number]
    assert (counted.total.accepted, counted.total.duplicates, counted.total.rejected) == (1, 1, 1)
    assert counted.last_accepted_at is not None
    [rejection] = (await database.read(rejections.page, found.number)).items
    assert (rejection.status, rejection.code, rejection.client) == (401, "token_missing", "192.0.2.7")


async def test_a_changed_secret_counts_within_a_second(database: Database, here: RealSite) -> None:
    found = await _add_open(database)
    assert (await here.post(ENVELOPE, BEARER, path=_paths(found))).status == 200
    await database.write(endpoints.change, BOX, found.webhook_id, lambda each: replace(each, secrets=()))
    async with asyncio.timeout(1):
        while (await here.post(ENVELOPE, BEARER, path=_paths(found))).status != 401:
            pass
