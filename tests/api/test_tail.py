"""``GET /api/tail``: every event once, in one order, whoever looks, whenever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from kanca.api import tail_hub, tail_stream, tail_watching
from kanca.api.app import create_api
from kanca.api.callers import SCOPE_KEY, Caller
from kanca.api.services import Services
from kanca.api.tail import TailSearch, filter_of
from kanca.api.tail_hub import TailHub
from kanca.cli.tailing import Message
from kanca.domain.endpoint import Endpoint
from kanca.domain.event import Accepted, NewEvent
from kanca.domain.ids import EVENT, id_at, show_id
from kanca.domain.status import OutcomeStatus
from kanca.domain.subscription import OPERATIONAL_ENDPOINT
from kanca.errors import DatabaseUnavailable, EndpointNotFound, NotForTenants
from kanca.storage import endpoints, feed, rejections
from kanca.storage.expunging import expunge
from kanca.storage.feed import LARGEST_BODY_BYTES
from kanca.storage.ports import Database
from kanca.storage.rejections import Rejection
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import outcomes
from tests.api.tailing import OpenTail
from tests.factories import an_outcome, ids, new_endpoint, new_event
from tests.planted import MARKER, plant

SOON = timedelta(milliseconds=10)


@pytest.fixture
async def hub(database: Database) -> AsyncIterator[TailHub]:
    hub = TailHub(database, most=3, every=SOON)
    yield hub
    await hub.close()


@pytest.fixture
def app(services: Services, hub: TailHub) -> FastAPI:
    return create_api(replace(services, tails=hub))


@pytest.fixture
async def shop(database: Database, secret_box: SecretBox) -> Endpoint:
    made = new_endpoint(name="Shop", slug="shop", provider="stripe", tenant="acme")
    return await database.write(endpoints.create, secret_box, made)


async def store(database: Database, *batch: NewEvent) -> list[str]:
    assert await database.accepting.append(batch) == [Accepted()] * len(batch)
    return [show_id(EVENT, event.id) for event in batch]


async def end(database: Database, event: NewEvent, **values: Any) -> None:
    outcome = an_outcome(event, **values)
    fields = {column.name: getattr(outcome, column.name) for column in outcomes.columns}
    await database.write(lambda connection: connection.execute(outcomes.insert().values(fields)))


async def refuse(database: Database, endpoint: Endpoint, code: str) -> None:
    now = datetime.now(UTC)
    refused = Rejection(ids.new(), endpoint.number, now, 401, code, "no", "203.0.113.9", b"{}")
    await database.write(rejections.add, [refused])


def shown(said: list[Message]) -> list[str]:
    return [each.data["id"] for each in said]


async def test_events_are_shown_as_they_come(app: FastAPI, database: Database, shop: Endpoint) -> None:
    request = {
        "method": "POST",
        "path": "/webhooks/shop",
        "ip": "203.0.113.9",
        "headers": [["a", "1"], ["a", "2"]],
    }
    event = new_event(
        endpoint=shop.number,
        tenant="acme",
        source_event_id="in_1",
        request=json.dumps(request).encode(),
        body=b'{"n":1,\n "big":12345678901234567890123}',
    )
    async with OpenTail(app, {"payload": True, "request": True}) as tail:
        assert (tail.status, tail.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        place = await tail.begun()
        await store(database, event)
        [said] = await tail.take(1)
    assert int(said.place or "") > int(place)
    assert said.data == {
        "id": show_id(EVENT, event.id),
        "event_type": "order.created",
        "source": "inbound",
        "webhook_id": shop.webhook_id,
        "endpoint_name": "Shop",
        "provider": "stripe",
        "tenant": "acme",
        "source_event_id": "in_1",
        "correlation_id": "cor-1",
        "received_at": event.received_at.isoformat().replace("+00:00", "Z"),
        "body_bytes": len(event.body),
        "is_authenticated": False,
        "is_test": False,
        "replay_of": None,
        "payload": {"n": 1, "big": 12345678901234567890123},
        "body_base64": None,
        "is_payload_omitted": False,
        "expunged_at": None,
        "request_method": "POST",
        "request_path": "/webhooks/shop",
        "request_headers": {"a": "1, 2"},
        "source_ip": "203.0.113.9",
    }


async def test_whoever_comes_back_is_sent_what_came_meanwhile(app: FastAPI, database: Database) -> None:
    async with OpenTail(app) as tail:
        await tail.begun()
        first = await store(database, new_event())
        [said] = await tail.take(1)
    missed = await store(database, *(new_event() for _ in range(30)))
    async with OpenTail(app, place=said.place) as tail:
        assert await tail.begun() == said.place
        assert shown(await tail.take(30)) == missed
        last = await store(database, new_event())
        assert shown(await tail.take(1)) == last
    assert shown([said]) == first


@pytest.mark.parametrize("other", [{}, {"since": "2026-01-01T00:00:00Z"}])
async def test_a_place_counts_more_than_since(
    app: FastAPI, database: Database, other: dict[str, str]
) -> None:
    made = await store(database, *(new_event() for _ in range(4)))
    async with OpenTail(app, {"follow": False, **other}, place="2") as tail:
        assert shown(await tail.rest()) == made[2:]


async def test_since_an_event_or_a_time(app: FastAPI, database: Database) -> None:
    now = datetime.now(UTC)
    moments = [now - timedelta(seconds=seconds) for seconds in (50, 40, 30, 20)]
    batch = [new_event(id=id_at(moment), received_at=moment) for moment in moments]
    made = await store(database, *batch)
    for since, expected in (
        (made[1], made[2:]),
        (made[3], []),
        (moments[1].isoformat(), made[1:]),
        ("2026-01-01T00:00:00Z", made),
        (now.isoformat(), []),
    ):
        async with OpenTail(app, {"since": since, "follow": False}) as tail:
            assert shown(await tail.rest()) == expected, since


@pytest.mark.parametrize(
    ("query", "place", "status", "code"),
    [
        ({"since": "yesterday"}, None, 422, "invalid_request"),
        ({"since": "evt_00000000000000000000000000000000"}, None, 404, "event_not_found"),
        ({"since": "evt_ffffffffffffffffffffffffffffffff"}, None, 404, "event_not_found"),
        ({"endpoint": "nowhere"}, None, 404, "endpoint_not_found"),
        ({"event_type": "a b"}, None, 422, "invalid_request"),
        ({"status": "pending"}, None, 422, "invalid_request"),
        ({"filter": "event.data.x =="}, None, 422, "invalid_expression"),
        ({"filter": "event.data.all(x, x > 1)"}, None, 422, "invalid_expression"),
        ({"include": "all"}, None, 422, "invalid_request"),
        ({"unknown": "1"}, None, 422, "invalid_request"),
        ({}, "1", 422, "place_unknown"),
        ({}, "x", 422, "place_unknown"),
        ({}, "²", 422, "place_unknown"),
    ],
)
async def test_what_cannot_be_is_refused(
    app: FastAPI, query: dict[str, str], place: str | None, status: int, code: str
) -> None:
    async with OpenTail(app, query, place) as tail:
        assert await tail.next() is None
        assert (tail.status, json.loads(tail.body)["code"]) == (status, code)


async def test_filters(app: FastAPI, database: Database, shop: Endpoint) -> None:
    large = b'{"n":3,"x":"%b"}' % (b"x" * LARGEST_BODY_BYTES)
    batch = [
        new_event(endpoint=shop.number, type="order.created", tenant="acme", body=b'{"n":1}'),
        new_event(endpoint=0, type="order.paid", body=b'{"n":2}'),
        new_event(endpoint=shop.number, type="order.item.added", tenant="acme", body=large),
        new_event(endpoint=OPERATIONAL_ENDPOINT, type="delivery.dead", body=b"no json"),
    ]
    made = await store(database, *batch)
    for query, expected in (
        ({"endpoint": "shop"}, [0, 2]),
        ({"endpoint": shop.webhook_id, "event_type": "*.created"}, [0]),
        ({"event_type": ["order.paid", "delivery.*"]}, [1, 3]),
        ({"tenant": "acme"}, [0, 2]),
        ({"provider": "stripe"}, [0, 2]),
        ({"source": "published"}, [1]),
        ({"source": "operational"}, [3]),
        ({"filter": "event.data.n >= 2"}, [1, 2]),
        ({"filter": "event.data.n >= 2", "source": "inbound"}, [2]),
    ):
        async with OpenTail(app, {"follow": False, **query}, place="0") as tail:
            assert shown(await tail.rest()) == [made[index] for index in expected], query


async def test_what_is_not_shown_moves_the_place(app: FastAPI, database: Database) -> None:
    async with OpenTail(app, {"event_type": "never"}) as tail:
        place = await tail.begun()
        await store(database, *(new_event() for _ in range(3)))
        said = await tail.next()
        assert said is not None
        assert (said.kind, int(said.place or "")) == ("place", int(place) + 3)


async def test_a_tenant_sees_its_own(database: Database, services: Services, shop: Endpoint) -> None:
    acme, other = Caller("acme"), Caller("other")
    assert (await filter_of(services, acme, TailSearch(endpoint="shop"))).tenant == "acme"
    with pytest.raises(EndpointNotFound):
        await filter_of(services, other, TailSearch(endpoint="shop"))
    with pytest.raises(NotForTenants):
        await filter_of(services, other, TailSearch(tenant="acme"))


async def test_a_tenant_does_not_learn_how_many_events_others_have_or_when(
    app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, SCOPE_KEY: Caller("acme")}, receive, send)

    async with OpenTail(app) as everybodys, OpenTail(called) as tail:
        await everybodys.begun()
        first = await tail.begun()
        await store(database, *(new_event(tenant="other") for _ in range(3)))
        await everybodys.take(3)
        [own] = await store(database, new_event(tenant="acme"))
        said = await tail.next()
        assert said is not None
        assert (said.kind, said.data["id"]) == ("event", own)
        assert not {first, said.place} & {str(number) for number in range(10)}
    [missed] = await store(database, new_event(tenant="acme"))
    async with OpenTail(called, {"follow": False}, place=said.place) as tail:
        await tail.begun()
        assert shown(await tail.take(1)) == [missed]
    for place in ("1", "0" * 300, said.place or ""):
        async with OpenTail(called if place != said.place else app, place=place) as tail:
            assert tail.status == 422
    monkeypatch.setattr(tail_stream, "SILENCE", SOON)
    async with OpenTail(called, place=said.place) as tail:
        await tail.begun()
        await tail.take(1)
        await store(database, new_event(tenant="other"))
        moved = await tail.next()
        assert moved is not None
        assert (moved.kind, moved.data) == ("place", None)


async def test_a_tenant_does_not_learn_which_events_others_have(app: FastAPI, database: Database) -> None:
    [theirs] = await store(database, new_event(tenant="acme"))

    async def begun_by(tenant: str) -> tuple[int, Any]:
        async def called(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, SCOPE_KEY: Caller(tenant)}, receive, send)

        transport = httpx.ASGITransport(called)
        async with httpx.AsyncClient(transport=transport, base_url="http://kanca.test") as client:
            answer = await client.get("/api/tail", params={"since": theirs, "follow": "false"})
        return answer.status_code, answer.json()["code"] if answer.is_error else None

    assert await begun_by("acme") == (200, None)
    assert await begun_by("other") == (404, "event_not_found")


async def test_a_binary_or_large_body_is_not_shown_as_text(app: FastAPI, database: Database) -> None:
    binary = new_event(body=b"\x00\xff")
    large = new_event(body=b'"' + b"x" * LARGEST_BODY_BYTES + b'"')
    await store(database, binary, large)
    async with OpenTail(app, {"follow": False, "payload": True}, place="0") as tail:
        first, second = await tail.rest()
    names = ("payload", "body_base64", "is_payload_omitted", "body_bytes")
    assert [first.data[name] for name in names] == [None, "AP8=", False, 2]
    assert [second.data[name] for name in names] == [None, None, True, len(large.body)]


async def test_how_events_end_is_told(app: FastAPI, database: Database) -> None:
    good, bad = new_event(), new_event(type="order.bad")
    async with OpenTail(app, {"include": "outcomes"}) as tail:
        await tail.begun()
        made = await store(database, good, bad)
        assert shown(await tail.take(2)) == made
        await end(database, good)
        [said] = await tail.take(1, "outcome")
        assert (said.place, said.data["id"], said.data["status"]) == (None, made[0], "succeeded")
        await end(database, bad, status=OutcomeStatus.DEAD, reason="it was bad")
        [said] = await tail.take(1, "outcome")
        assert said.data == {
            "id": made[1],
            "event_type": "order.bad",
            "webhook_id": None,
            "tenant": "default",
            "status": "dead",
            "processed_at": said.data["processed_at"],
            "reason": "it was bad",
            "error_message": None,
        }


async def test_how_older_events_ended_is_told_with_them(app: FastAPI, database: Database) -> None:
    batch = [new_event() for _ in range(3)]
    made = await store(database, *batch)
    await end(database, batch[0])
    await end(database, batch[2], status=OutcomeStatus.DEAD)
    async with OpenTail(app, {"follow": False, "include": "outcomes"}, place="0") as tail:
        said = [(each.kind, each.data["id"]) for each in await tail.rest()]
    kinds = [("event", made[0]), ("outcome", made[0]), ("event", made[1]), ("event", made[2])]
    assert said == [*kinds, ("outcome", made[2])]


async def test_only_what_ends_so(app: FastAPI, database: Database) -> None:
    good, bad = new_event(), new_event()
    async with OpenTail(app, {"status": "dead"}) as tail:
        await tail.begun()
        made = await store(database, good, bad)
        assert [each.place for each in await tail.take(1, "place")] == ["2"]
        await end(database, good)
        await end(database, bad, status=OutcomeStatus.DEAD)
        said = await tail.next()
        assert said is not None
        assert (said.kind, said.data["id"]) == ("outcome", made[1])


async def test_refused_requests_are_shown_once_and_only_new_ones(
    app: FastAPI, database: Database, shop: Endpoint
) -> None:
    await refuse(database, shop, "old")
    async with (
        OpenTail(app, {"include": "rejections", "endpoint": "shop"}) as tail,
        OpenTail(app, {"include": "rejections", "tenant": "other"}) as other,
    ):
        await tail.begun()
        await other.begun()
        await refuse(database, shop, "first")
        [first] = await tail.take(1, "rejection")
        await refuse(database, shop, "second")
        [second] = await tail.take(1, "rejection")
        made = await store(database, new_event(tenant="other"))
        said = await other.next()
        assert said is not None
        assert said.data["id"] == made[0]
    assert (first.data["code"], second.data["code"]) == ("first", "second")
    assert first.place is None
    assert (first.data["webhook_id"], first.data["client"], first.data["status"]) == (
        shop.webhook_id,
        "203.0.113.9",
        401,
    )


async def test_a_slow_client_is_given_everything_from_the_database(
    app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_hub, "KEPT_EVENTS", 10)
    async with OpenTail(app) as slow, OpenTail(app) as fast:
        await slow.begun()
        await fast.begun()
        slow.takes.clear()
        made = []
        for _ in range(20):
            made += await store(database, *(new_event() for _ in range(5)))
            await fast.take(5)
        slow.takes.set()
        assert shown(await slow.take(100)) == made


async def test_what_is_kept_in_memory_is_bounded_whatever_headers_came(
    app: FastAPI, hub: TailHub, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_hub, "KEPT_BYTES", 50_000)
    await store(database, new_event())
    request = json.dumps({"method": "POST", "headers": [["x-long", "x" * 20_000]]}).encode()
    async with OpenTail(app) as tail:
        before = int(await tail.begun())
        async with asyncio.timeout(20):
            while not hub.keeps(before):  # a tail may begin before what all of them share
                await hub.signal().wait()
        await store(database, *(new_event(request=request) for _ in range(10)))
        async with asyncio.timeout(20):
            while hub.keeps(before + 7):
                await hub.signal().wait()
        assert hub.keeps(before + 8)
        await tail.take(10)


async def test_what_was_expunged_is_not_shown_from_memory(
    app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_hub, "KEPT_FOR", timedelta(0))
    query = {"payload": "true", "request": "true"}
    async with OpenTail(app, query) as tail:
        place = await tail.begun()
        event = await plant(database)
        [before] = await tail.take(1)
        await database.write(expunge, [event.id], datetime.now(UTC))
        await store(database, new_event())
        await tail.take(1)
        async with OpenTail(app, query, place) as later:
            await later.begun()
            [after] = await later.take(1)

    assert before.data["id"] == after.data["id"] == show_id(EVENT, event.id)
    assert MARKER in str(before.data)
    assert MARKER not in str(after.data)


async def test_a_slow_client_is_told_how_much_it_was_not_told(
    app: FastAPI, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_watching, "MOST_NEWS", 2)
    batch = [new_event() for _ in range(5)]
    query = {"include": "outcomes"}
    async with OpenTail(app, query) as slow, OpenTail(app, query) as fast:
        await slow.begun()
        await fast.begun()
        await store(database, *batch)
        await slow.take(5)
        slow.takes.clear()
        await store(database, new_event())
        async with asyncio.timeout(20):
            await slow.is_kept_waiting.wait()
        for event in batch:
            await end(database, event)
            await fast.take(1, "outcome")
        slow.takes.set()
        await slow.take(1)
        [gap] = await slow.take(1, "gap")
        told = shown(await slow.take(2, "outcome"))
    assert gap.data == {"reason": "slow", "left_out": 3}
    assert told == [show_id(EVENT, event.id) for event in batch[3:]]


async def test_a_place_that_retention_has_passed_is_a_gap(app: FastAPI, database: Database) -> None:
    now = datetime.now(UTC)
    old = [new_event(id=id_at(now - timedelta(hours=5 - hour))) for hour in range(3)]
    await store(database, *old)
    young = await store(database, new_event())
    await database.drop_expired(now - timedelta(hours=1))
    async with OpenTail(app, {"follow": False}, place="1") as tail:
        gap, said = await tail.rest()
    assert (gap.kind, gap.data, said.data["id"]) == (
        "gap",
        {"reason": "expired", "resumes_after": 1},
        young[0],
    )
    async with OpenTail(app, {"follow": False}, place="3") as tail:
        assert shown(await tail.rest()) == young


async def test_a_tail_with_nothing_to_say_gives_signs_of_life(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_stream, "SILENCE", SOON)
    async with OpenTail(app) as tail:
        place = await tail.begun()
        assert [await tail.next() for _ in range(2)] == [Message("place", None, place)] * 2


async def test_there_are_so_many_tails_at_a_time(app: FastAPI, hub: TailHub) -> None:
    async with OpenTail(app) as first, OpenTail(app) as second:
        await first.begun()
        await second.begun()
        async with OpenTail(app) as third:
            await third.begun()
            async with OpenTail(app) as fourth:
                assert (fourth.status, fourth.headers["retry-after"]) == (429, "5")
        async with OpenTail(app) as again:
            assert again.status == 200
            await again.begun()


async def test_all_tails_end_when_the_gateway_does(app: FastAPI, hub: TailHub) -> None:
    async with OpenTail(app) as tail:
        await tail.begun()
        await hub.close()
        assert await tail.next() is None
    async with OpenTail(app) as late:
        assert late.status == 503


async def test_a_database_that_is_away_for_a_while_costs_nothing(
    app: FastAPI, database: Database, hub: TailHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_hub, "AFTER_FAILURE", SOON)
    failed = asyncio.Event()
    real = feed.read

    def away(*_: Any) -> Any:
        failed.set()
        raise DatabaseUnavailable

    async with OpenTail(app) as tail:
        await tail.begun()
        monkeypatch.setattr(feed, "read", away)
        made = await store(database, *(new_event() for _ in range(3)))
        async with asyncio.timeout(20):
            await failed.wait()
        monkeypatch.setattr(feed, "read", real)
        assert shown(await tail.take(3)) == made
