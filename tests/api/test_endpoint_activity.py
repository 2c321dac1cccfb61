from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
from pydantic import SecretStr

from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.domain.endpoint import BUILT_IN_PATHS
from kanca.ingest.gateway import Ingest
from kanca.ingest.request import Answer
from kanca.ingest.settings import IngestSettings
from kanca.ingest.store import DatabaseStore
from kanca.ingest.surroundings import Surroundings
from kanca.providers import Draft, Issued
from kanca.storage import rejections, statistics
from kanca.storage.ports import Database
from kanca.storage.rejections import Rejection
from kanca.storage.statistics import Counted
from tests.api.conftest import speaking_to
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


async def test_a_process_without_ingest_cannot_test(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/api/webhooks/{await create(client)}/test")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


async def test_a_test_shows_what_was_answered_whatever_it_is(services: Services) -> None:
    answers = {b"[accepted]": "[accepted]", b"": None, b'{"a":1}': {"a": 1}, b"\xff": "\ufffd", b"{": "{"}
    left = list(answers)

    async def send_test(_webhook_id: str, _draft: Draft, _rehearsal: Issued | None) -> Answer:
        return Answer(200, (), left.pop(0))

    async with speaking_to(create_api(replace(services, send_test=send_test))) as client:
        webhook_id = await create(client)
        for expected in answers.values():
            result = (await client.post(f"/api/webhooks/{webhook_id}/test")).json()
            assert (result["test_successful"], result["response_body"]) == (True, expected)


async def test_a_test_goes_the_real_way(services: Services) -> None:
    store = DatabaseStore(services.database, services.secret_box, WEBHOOK_SECRET, "test")
    ingest = Ingest(
        IngestSettings(),
        services.database.accepting,
        store,
        services.database.waker(),
        services.ids,
        Surroundings(clock=lambda: services.now().timestamp()),
    )

    app = create_api(replace(services, send_test=ingest.test, webhook_secret=WEBHOOK_SECRET))
    async with speaking_to(app) as client:
        tested = [
            await create(client, config={"allowed_ips": ["10.0.0.0/8"], "rate_limit_per_minute": 1}),
            await create(client, provider="github"),
            await create(client, provider="standardwebhooks"),
            await create(client, provider="stripe", secret=STRIPE_SECRET),
            await create(
                client,
                provider="hmac",
                config={"provider_options": {"header": "X-Sig", "timestamp_header": "X-At"}},
            ),
            *BUILT_IN_PATHS,
        ]
        for webhook_id in tested:
            for _ in range(2):
                result = (await client.post(f"/api/webhooks/{webhook_id}/test")).json()
                assert result["test_successful"] is True, result
                assert result["response_status"] == 200
                assert result["response_body"]["status"] == "accepted"
            [event, _] = (await client.get(f"/api/webhooks/{webhook_id}/events")).json()["items"]
            assert (event["is_test"], event["is_authenticated"]) == (True, True)

        inactive = (
            await client.post(f"/api/webhooks/{await create(client, provider='shopify')}/test")
        ).json()
    assert (inactive["test_successful"], inactive["response_status"]) == (False, 404)
    assert inactive["response_body"]["code"] == "endpoint_not_found"
