from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Connection
from structlog.testing import capture_logs

from kanca.api.events import stored_event
from kanca.api.services import Services
from kanca.domain.delivery import delivery_id
from kanca.domain.event import NewEvent, StoredEvent
from kanca.domain.ids import DELIVERY, RUN, derived_id, show_id
from kanca.domain.status import DeliveryStatus
from kanca.storage.event_copies import make_replays
from kanca.storage.expunging import Expunged
from kanca.storage.expunging import expunge as storage_expunge
from kanca.storage.ports import Database
from tests.api.conftest import Clock
from tests.api.rows import accept, later_ids, shown
from tests.planted import places_of_marker, plant
from tests.sending import a_delivery, ended, publish, subscribe

EVENTS = "/api/events"


async def expunge(client: httpx.AsyncClient, event: Any) -> httpx.Response:
    return await client.post(f"{EVENTS}/{shown(event)}/expunge")


async def test_a_payload_is_taken_away_and_the_record_says_when(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    event = await plant(database, endpoint=0)

    with capture_logs() as logs:
        answer = await expunge(client, event)

    said = answer.json()
    assert (said["status"], said["event_id"], said["replays"]) == ("expunged", shown(event), [])
    found = (await client.get(f"{EVENTS}/{shown(event)}")).json()
    assert (found["payload"], found["body_base64"], found["request_headers"]) == (None, None, {})
    assert (found["source_ip"], found["status"], found["event_type"]) == (None, "dead", "order.created")
    assert found["expunged_at"] == said["expunged_at"]
    assert await places_of_marker(database) == set()
    assert [(each["action"], each["subject"]) for each in logs if each["event"] == "audit"] == [
        ("event.expunged", shown(event))
    ]


async def test_replays_have_the_same_bytes_and_go_with_it(
    client: httpx.AsyncClient, database: Database
) -> None:
    original = await plant(database, endpoint=0)
    await accept(database)
    first = await plant(database, endpoint=0, replay_of=original.id)
    second = await plant(database, endpoint=0, replay_of=original.id)

    said = (await expunge(client, first)).json()

    assert said["replays"] == sorted([shown(original), shown(second)])
    assert await places_of_marker(database) == set()


async def test_a_replay_that_is_made_while_it_is_expunged_is_found(
    client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = await plant(database, endpoint=0)
    made: list[NewEvent] = []

    def replayed_just_before(connection: Connection, event_ids: Sequence[UUID], now: datetime) -> Expunged:
        if not made:
            made.extend(make_replays(connection, [original.id], later_ids.new, now))
        return storage_expunge(connection, event_ids, now)

    monkeypatch.setattr("kanca.api.expunging.expunge", replayed_just_before)

    answer = await expunge(client, original)

    assert (answer.status_code, answer.json()["events"]) == (409, [shown(made[0])])


async def test_what_is_expunged_while_it_is_replayed_is_not_copied(
    client: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = await plant(database, endpoint=0)

    async def seen_just_before(services: Services, event_id: UUID) -> StoredEvent:
        found = await stored_event(services, event_id)
        await database.write(storage_expunge, [event_id], services.now())
        return found

    monkeypatch.setattr("kanca.api.replay.stored_event", seen_just_before)

    answer = await client.post(f"{EVENTS}/{shown(event)}/replay")
    await database.wipe()

    assert (answer.status_code, answer.json()["code"]) == (409, "payload_expunged")
    assert await places_of_marker(database) == set()


async def test_it_is_refused_while_work_of_a_replay_goes_on(
    client: httpx.AsyncClient, database: Database
) -> None:
    original = await plant(database, endpoint=0)
    replay = await plant(database, endpoint=0, replay_of=original.id, is_open=True)

    answer = await expunge(client, original)

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["events"]) == (
        409,
        "event_unfinished",
        [shown(replay)],
    )


async def test_nothing_is_made_of_it_any_more(client: httpx.AsyncClient, database: Database) -> None:
    event = await plant(database, endpoint=0)
    await expunge(client, event)
    letter = (await client.get("/admin/dlq")).json()["items"][0]
    run = show_id(RUN, derived_id(event.id, "workflow:w"))

    refused = [
        await client.post(f"{EVENTS}/{shown(event)}/replay"),
        await client.get(f"{EVENTS}/{shown(event)}/body"),
        await client.post(f"/admin/dlq/{letter['id']}/retry"),
        await client.post(f"/api/runs/{run}/retry", json={}),
        await client.post(f"/api/runs/{run}/replay"),
    ]

    assert [(each.status_code, each.json()["code"]) for each in refused] == [(409, "payload_expunged")] * 5
    many = await client.post(f"{EVENTS}/replay", json={"event_type": event.type})
    assert many.json()["replayed"] == 0
    assert letter["expunged_at"] is not None
    assert (await client.post("/admin/dlq/retry")).json()["count"] == 0


async def test_its_deliveries_are_neither_resent_nor_replayed(
    client: httpx.AsyncClient, database: Database
) -> None:
    shop = await subscribe(database)
    event = await publish(database)
    await ended(database, a_delivery((event.id, shop.number), DeliveryStatus.DELIVERED))
    await expunge(client, event)
    name = show_id(DELIVERY, delivery_id(event.id, shop.number))

    answer = await client.post(f"/api/deliveries/{name}/resend")
    asked = {"since": "2020-01-01T00:00:00Z", "only": "all", "dry_run": True}
    replay = await client.post(f"/webhooks/subscriptions/{shop.id}/replay", json=asked)

    assert (answer.status_code, answer.json()["code"]) == (409, "payload_expunged")
    assert replay.json() == {"count": 0}


async def test_an_event_that_is_not_there_cannot_be_expunged(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{EVENTS}/evt_019503f0a1c27d3e8f00b4a6c8d2e1f0/expunge")
    assert (answer.status_code, answer.json()["code"]) == (404, "event_not_found")
