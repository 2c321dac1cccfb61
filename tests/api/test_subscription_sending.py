"""Test events and challenges, sent over real HTTP to a receiver on this machine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from aiohttp import web
from sqlalchemy import Connection, insert, select
from structlog.testing import capture_logs

from kanca.api.services import Services
from kanca.domain.ids import EVENT, read_id
from kanca.outbound.signing import sign_hex
from kanca.storage import subscriptions
from kanca.storage.ports import Database
from kanca.storage.tables import dead_letters, deliveries, event_types
from tests.api.conftest import Clock
from tests.api.subscribing import SUBSCRIPTIONS, Sending, change, create, sending

PARTNER = f"{SUBSCRIPTIONS}/partner"


@pytest.fixture
async def site(services: Services) -> AsyncIterator[Sending]:
    async with sending(services) as site:
        yield site


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    """As a receiver that wants to be one."""
    return web.json_response({"challenge": json.loads(await request.read())["challenge"]})


async def echo_text(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=json.loads(await request.read())["challenge"] + "\n")


async def refuse(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=403, text=json.loads(await request.read()).get("challenge", "no"))


async def ignore(_request: web.BaseRequest) -> web.StreamResponse:
    return web.json_response(["ok"])


async def try_out(site: Sending) -> dict[str, Any]:
    answer = await site.client.post(f"{PARTNER}/test")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_test_event_is_delivered_as_every_event_is(site: Sending) -> None:
    made = await create(site.client, id="partner", url=site.url, headers={"X-Team": "shop"})
    with capture_logs() as logs:
        result = await try_out(site)
    assert (result["status"], result["status_code"]) == ("delivered", 200)
    assert result["attempt"]["url"] == site.url
    assert result["attempt"]["address"] == "127.0.0.1"
    ((request,), (body,)) = site.receiver.requests, site.receiver.bodies
    assert request.method == "POST"
    assert request.headers["webhook-id"] == result["event_id"]
    assert (request.headers["X-Webhook-Event"], request.headers["X-Team"]) == ("test.event", "shop")
    assert request.headers["X-Webhook-Signature"] == sign_hex(made["secret"], body)
    assert json.loads(body).keys() == {"event_type", "event_id", "timestamp", "data"}
    assert json.loads(body)["data"]["subscription_id"] == "partner"
    assert [(line["action"], line["subject"]) for line in logs] == [("subscription.tested", "partner")]


async def test_a_test_is_an_event_with_a_delivery(
    site: Sending, services: Services, database: Database
) -> None:
    await create(site.client, id="partner", url=site.url)
    result = await try_out(site)
    event = (await site.client.get(f"/api/events/{result['event_id']}")).json()
    assert (event["event_type"], event["status"], event["is_test"]) == ("test.event", "succeeded", True)
    subscription = await database.read(subscriptions.get, services.secret_box, "partner")
    assert subscription is not None

    def rows(connection: Connection) -> list[Any]:
        return list(connection.execute(select(deliveries)))

    (delivery,) = await database.read(rows)
    assert delivery.event_id == read_id(EVENT, result["event_id"])
    assert (delivery.subscription, delivery.status) == (subscription.number, "delivered")
    assert (delivery.attempts, delivery.response_status, delivery.reason) == (1, 200, None)
    assert json.loads(delivery.attempt)["url"] == site.url


async def test_a_test_that_fails_says_why_and_is_no_dead_letter(site: Sending, database: Database) -> None:
    await create(site.client, id="partner", url=site.url)
    site.answers.append(refuse)
    result = await try_out(site)
    assert (result["status"], result["status_code"]) == ("failed", 403)
    assert (result["attempt"]["code"], result["attempt"]["body"]) == ("rejected", "no")
    event = (await site.client.get(f"/api/events/{result['event_id']}")).json()
    assert event["status"] == "dead"

    def letters(connection: Connection) -> list[Any]:
        return list(connection.execute(select(dead_letters)))

    assert await database.read(letters) == []


async def test_a_receiver_that_is_not_there_fails_the_test(site: Sending) -> None:
    await create(site.client, id="partner", url="http://127.0.0.1:9/hooks")
    result = await try_out(site)
    assert (result["status"], result["status_code"]) == ("failed", None)
    assert result["attempt"]["code"] == "connect_failed"


async def test_a_test_goes_to_one_that_is_switched_off_and_wants_nothing_of_the_kind(site: Sending) -> None:
    await create(site.client, id="partner", url=site.url, active=False, filter="false")
    assert (await try_out(site))["status"] == "delivered"


async def test_the_transform_is_tested_too(site: Sending) -> None:
    await create(site.client, id="partner", url=site.url, transform='{"text": event.type}')
    assert (await try_out(site))["status"] == "delivered"
    assert site.receiver.bodies == [b'{"text":"test.event"}']
    await change(site.client, "partner", transform="event.data.nothing")
    result = await try_out(site)
    assert (result["status"], result["attempt"]["code"]) == ("failed", "transform_failed")
    assert len(site.receiver.bodies) == 1


async def test_the_data_is_the_example_of_the_first_type_that_has_one(
    site: Sending, database: Database, clock: Clock
) -> None:
    def describe(connection: Connection) -> None:
        rows = [
            {
                "name": name,
                "description": "",
                "example": example,
                "is_enforced": False,
                "created_at": clock.now,
                "updated_at": clock.now,
            }
            for name, example in (("a.x", None), ("b.x", '{"b": 1.50}'), ("c.x", "{}"))
        ]
        connection.execute(insert(event_types), rows)

    await database.write(describe)
    await create(site.client, id="partner", url=site.url, events=["*", "a.x", "b.x", "c.x"])
    await try_out(site)
    assert json.loads(site.receiver.bodies[0])["data"] == {"b": 1.5}


@pytest.mark.parametrize("answer", [echo, echo_text])
async def test_a_receiver_that_echoes_the_token_is_sent_to(site: Sending, answer: Any) -> None:
    site.answers.append(answer)
    with capture_logs() as logs:
        made = await create(site.client, id="partner", url=site.url, challenge=True)
    assert (made["is_verified"], made["hint"], made["attempt"]["code"]) == (True, None, None)
    assert (await site.client.get(PARTNER)).json()["status"] == "active"
    ((request,), (body,)) = site.receiver.requests, site.receiver.bodies
    asked = json.loads(body)
    assert asked == {"type": "webhook.challenge", "challenge": asked["challenge"]}
    assert len(asked["challenge"]) >= 32
    assert request.headers["X-Webhook-Signature"] == sign_hex(made["secret"], body)
    assert [line["action"] for line in logs] == ["subscription.created", "subscription.challenged"]
    assert asked["challenge"] not in str(logs)


@pytest.mark.parametrize(
    ("answer", "code"),
    [(None, "challenge_not_echoed"), (ignore, "challenge_not_echoed"), (refuse, "rejected")],
)
async def test_one_that_does_not_is_there_and_sent_nothing(site: Sending, answer: Any, code: str) -> None:
    if answer:
        site.answers.append(answer)
    made = await create(site.client, id="partner", url=site.url, challenge=True)
    assert (made["status"], made["is_verified"]) == ("created", False)
    assert made["attempt"]["code"] == code
    assert "challenge" in made["hint"]
    assert (await site.client.get(PARTNER)).json()["status"] == "unverified"


async def test_a_receiver_may_be_asked_again(site: Sending) -> None:
    await create(site.client, id="partner", url=site.url, challenge=True)
    again = await site.client.post(f"{PARTNER}/challenge")
    assert (again.status_code, again.json()["code"]) == (409, "challenge_failed")
    assert again.json()["attempt"]["status"] == 200
    site.answers.append(echo)
    assert (await site.client.post(f"{PARTNER}/challenge")).json()["status"] == "active"
    asked = [json.loads(body)["challenge"] for body in site.receiver.bodies]
    assert len(set(asked)) == 3
    # One that was verified does not lose that by being asked.
    assert (await site.client.post(f"{PARTNER}/challenge")).status_code == 409
    assert (await site.client.get(PARTNER)).json()["status"] == "active"


async def test_another_address_has_to_echo_before_it_is_sent_anything(site: Sending) -> None:
    site.answers.append(echo)
    await create(site.client, id="partner", url=site.url, challenge=True)
    moved = await change(site.client, "partner", url=site.receiver.url("/elsewhere"))
    assert moved["status"] == "unverified"
    assert site.receiver.requests[-1].path == "/elsewhere"
    site.answers.append(echo)
    assert (await change(site.client, "partner", url=site.url))["status"] == "active"
    assert (await change(site.client, "partner", name="Same address"))["status"] == "active"
    assert len(site.receiver.requests) == 3


async def test_a_challenge_may_be_asked_for_later_and_dropped(site: Sending) -> None:
    await create(site.client, id="partner", url=site.url)
    assert (await change(site.client, "partner", challenge=True))["status"] == "unverified"
    assert (await change(site.client, "partner", challenge=False))["status"] == "active"


async def test_an_answer_from_an_address_that_is_left_verifies_nothing(
    site: Sending, services: Services, database: Database
) -> None:
    async def move_then_echo(request: web.BaseRequest) -> web.StreamResponse:
        def move(before: Any) -> Any:
            return replace(before, url=site.receiver.url("/elsewhere"), is_verified=False)

        await database.write(subscriptions.change, services.secret_box, "partner", move)
        return await echo(request)

    site.answers.append(move_then_echo)
    made = await create(site.client, id="partner", url=site.url, challenge=True)
    assert (made["url"], made["is_verified"]) == (site.receiver.url("/elsewhere"), False)


async def test_a_process_that_sends_nothing_says_so(client: httpx.AsyncClient) -> None:
    made = await create(client, id="partner", challenge=True)
    assert (made["is_verified"], made["attempt"]) == (False, None)
    for action in ("test", "challenge"):
        assert (await client.post(f"{PARTNER}/{action}")).json()["code"] == "unavailable"
