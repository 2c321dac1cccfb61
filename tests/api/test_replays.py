from __future__ import annotations

from typing import Any

import httpx
from structlog.testing import capture_logs

from kanca.domain.status import DeliveryStatus
from kanca.domain.subscription import SubscriptionConfig
from kanca.domain.task import TaskKind
from kanca.storage.ports import Database
from tests.api.conftest import Clock, Wakes
from tests.sending import a_delivery, ended, publish, queued, subscribe

REPLAYS = "/api/replays"
TO_ALL = "/api/deliveries/replay"


def to(subscription_id: str) -> str:
    return f"/webhooks/subscriptions/{subscription_id}/replay"


async def ask(client: httpx.AsyncClient, where: str, **asked: Any) -> dict[str, Any]:
    answer = await client.post(where, json={"since": "2026-01-01T00:00:00Z"} | asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_dry_run_counts_what_a_replay_then_is_to_do(
    client: httpx.AsyncClient, database: Database, clock: Clock, wakes: Wakes
) -> None:
    shop = await subscribe(database)
    await subscribe(database, id="picky", config=SubscriptionConfig(filter="event.data.id > 1"))
    for body in (b'{"id":1}', b'{"id":2}', b"{"):
        await publish(database, body=body)
    dead = await publish(database, type="user.created")
    await ended(database, a_delivery((dead.id, shop.number), DeliveryStatus.DEAD))
    clock.advance(minutes=1)

    assert await ask(client, TO_ALL, only="missing", dry_run=True) == {"count": 4}
    assert await ask(client, TO_ALL, only="all", event_types=["user.*"], dry_run=True) == {"count": 1}
    assert await ask(client, TO_ALL, only="all", tenant="nobody", dry_run=True) == {"count": 0}
    assert await ask(client, to("picky"), only="missing", dry_run=True) == {"count": 1}
    assert await ask(client, to("shop"), dry_run=True) == {"count": 1}
    assert await queued(database, TaskKind.REPLAY) == []
    assert wakes.count == 0

    with capture_logs() as logs:
        begun = await ask(client, to("shop"), only="missing", rate_per_second=5, event_types=["order.*"])

    assert {name: begun[name] for name in ("subscription_id", "only", "status", "total", "queued")} == {
        "subscription_id": "shop",
        "only": "missing",
        "status": "pending",
        "total": 3,
        "queued": 0,
    }
    assert (begun["rate_per_second"], begun["event_types"]) == (5.0, ["order.*"])
    [task] = await queued(database, TaskKind.REPLAY)
    assert task.target == shop.number
    assert wakes.count == 1
    assert logs[0]["action"] == "replay.created"
    assert (await client.get(f"{REPLAYS}/{begun['id']}")).json() == begun


async def test_replays_are_listed_newest_first_and_cancelled(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    await subscribe(database)
    await publish(database)
    clock.advance(minutes=1)
    made = [await ask(client, where, only="missing") for where in (TO_ALL, to("shop"))]

    first = (await client.get(REPLAYS, params={"limit": 1})).json()
    second = (await client.get(REPLAYS, params={"limit": 1, "cursor": first["next_cursor"]})).json()
    assert {item["id"] for item in first["items"] + second["items"]} == {each["id"] for each in made}
    assert (second["next_cursor"], made[0]["subscription_id"]) == (None, None)

    cancelled = await client.post(f"{REPLAYS}/{made[0]['id']}/cancel")
    again = await client.post(f"{REPLAYS}/{made[0]['id']}/cancel")
    assert cancelled.json()["status"] == "cancelled"
    assert cancelled.json()["finished_at"] is not None
    assert (again.status_code, again.json()["code"]) == (409, "replay_over")


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for replay in ("x", f"rpl_{'0' * 32}", "%00"):
        for method, path in (("GET", ""), ("POST", "/cancel")):
            answer = await client.request(method, f"{REPLAYS}/{replay}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "replay_not_found"), replay
    for subscription in ("nobody", "%00", "a" * 65):
        answer = await client.post(to(subscription), json={"since": "2026-01-01"})
        assert (answer.status_code, answer.json()["code"]) == (404, "subscription_not_found")


async def test_what_cannot_be_is_refused(client: httpx.AsyncClient, database: Database) -> None:
    await subscribe(database, is_active=False)
    since = {"since": "2026-01-01T00:00:00Z"}
    bad: list[dict[str, Any]] = [
        {},
        {"since": "9999-01-01T00:00:00Z"},
        since | {"until": "2025-01-01T00:00:00Z"},
        since | {"only": "some"},
        since | {"rate_per_second": 0},
        since | {"event_types": ["a b"]},
        since | {"event_types": ["x"] * 101},
        since | {"colour": "red"},
    ]
    for request in bad:
        assert (await client.post(TO_ALL, json=request)).status_code == 422, request
    answer = await client.post(to("shop"), json=since)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert await queued(database, TaskKind.REPLAY) == []
