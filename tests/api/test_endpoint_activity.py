from __future__ import annotations

from typing import Any

import httpx
from pydantic import SecretStr

from kanca.api.services import Services
from kanca.storage import rejections, statistics
from kanca.storage.ports import Database
from kanca.storage.rejections import Rejection
from kanca.storage.statistics import Counted
from tests.api.rows import accept, later_ids, number_of, shown

STRIPE_SECRET = "whsec_0123456789abcdef0123456789abcdef"
WEBHOOK_SECRET = SecretStr("the secret of the built-in endpoints")


async def create(client: httpx.AsyncClient, **request: Any) -> str:
    answer = await client.post("/api/webhooks/endpoints", json=request)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["webhook_id"])


async def test_statistics_are_told(client: httpx.AsyncClient, services: Services) -> None:
    webhook_id = await create(client)
    path = f"/api/webhooks/{webhook_id}/stats"
    fresh = (await client.get(path)).json()
    assert (fresh["total_events"], fresh["error_rate"], fresh["avg_response_time"]) == (0, 0, 0)

    number = await number_of(services.database, webhook_id)
    now = services.now()
    counted = Counted(number, now, 8, 2, 5, 2, response_us=40_000, last_accepted_at=now)
    await services.database.write(statistics.add, "test", [counted])

    found = (await client.get(path)).json()
    assert (found["total_events"], found["duplicates"], found["rejected"]) == (8, 2, 5)
    assert (found["error_count"], found["error_rate"], found["avg_response_time"]) == (2, 25, 4)
    assert (found["events_per_hour"], found["events_per_day"]) == (8, 8)
    assert found["last_triggered"] is not None
    assert found["config"]["rate_limit_per_minute"] == 60


async def test_rejections_say_why_webhooks_do_not_arrive(
    client: httpx.AsyncClient, services: Services
) -> None:
    webhook_id = await create(client)
    number = await number_of(services.database, webhook_id)
    refused = [
        Rejection(
            later_ids.new(),
            number,
            services.now(),
            401,
            code,
            "No.",
            "203.0.113.9",
            b'{"method":"POST"}',
            count,
        )
        for code, count in (("token_missing", 1), ("token_mismatch", 7), ("rate_limited", 1))
    ]
    await services.database.write(rejections.add, refused)
    path = f"/api/webhooks/{webhook_id}/rejections"

    first = (await client.get(path, params={"limit": 2})).json()
    second = (await client.get(path, params={"cursor": first["next_cursor"]})).json()

    assert [item["code"] for item in first["items"]] == ["rate_limited", "token_mismatch"]
    assert [item["code"] for item in second["items"]] == ["token_missing"]
    assert first["items"][0]["request"] == {"method": "POST"}
    assert [item["count"] for item in (*first["items"], *second["items"])] == [1, 7, 1]
    causes = (await client.get(f"/api/webhooks/{webhook_id}/stats")).json()["rejection_causes"]
    assert causes == {"token_mismatch": 7, "rate_limited": 1, "token_missing": 1}


async def test_only_the_endpoint_s_own_events_are_listed(
    client: httpx.AsyncClient, database: Database
) -> None:
    webhook_id = await create(client)
    mine = await accept(database, endpoint=await number_of(database, webhook_id))
    await accept(database)

    answer = await client.get(f"/api/webhooks/{webhook_id}/events")

    assert [item["id"] for item in answer.json()["items"]] == [shown(mine)]


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for name in (f"wh_{'0' * 24}", "endpoint", "%00"):
        for method, path in (("GET", "events"), ("GET", "stats"), ("GET", "rejections")):
            answer = await client.request(method, f"/api/webhooks/{name}/{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "endpoint_not_found")
