from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from kanca.api import endpoint_testing
from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.domain.endpoint import BUILT_IN_PATHS
from kanca.ingest.gateway import Ingest
from kanca.ingest.request import Answer
from kanca.ingest.settings import IngestSettings
from kanca.ingest.store import DatabaseStore
from kanca.ingest.surroundings import Surroundings
from kanca.providers import Catalogue, Draft, Issued, issue
from tests.api.conftest import speaking_to

STRIPE_SECRET = "whsec_0123456789abcdef0123456789abcdef"
WEBHOOK_SECRET = SecretStr("the secret of the built-in endpoints")


async def create(client: httpx.AsyncClient, **request: Any) -> str:
    answer = await client.post("/api/webhooks/endpoints", json=request)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["webhook_id"])


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


async def test_a_key_pair_for_a_test_is_made_beside_the_event_loop(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_in: list[threading.Thread] = []

    def issued_here(*args: Any) -> Issued:
        made_in.append(threading.current_thread())
        return issue(*args)

    async def send_test(_webhook_id: str, _draft: Draft, _rehearsal: Issued | None) -> Answer:
        return Answer(200, (), b"{}")

    monkeypatch.setattr(endpoint_testing, "issue", issued_here)
    async with speaking_to(create_api(replace(services, send_test=send_test))) as client:
        webhook_id = await create(client, provider="stripe", secret=STRIPE_SECRET)
        assert (await client.post(f"/api/webhooks/{webhook_id}/test")).status_code == 200
    [thread] = made_in
    assert thread is not threading.current_thread()


async def test_the_type_may_be_chosen_and_null_is_that_of_the_first_sample(services: Services) -> None:
    sent: list[Draft] = []

    async def send_test(_webhook_id: str, draft: Draft, _rehearsal: Issued | None) -> Answer:
        sent.append(draft)
        return Answer(200, (), b"{}")

    async with speaking_to(create_api(replace(services, send_test=send_test))) as client:
        webhook_id = await create(client, provider="stripe", secret=STRIPE_SECRET)
        for request in ({}, {"event_type": "invoice.paid"}, {"event_type": None}):
            answer = await client.post(f"/api/webhooks/{webhook_id}/test", json=request)
            assert answer.json()["test_successful"] is True
        refused = await client.post(f"/api/webhooks/{webhook_id}/test", json={"event_type": ""})

    types = [json.loads(draft.body)["type"] for draft in sent]
    assert types == ["webhook.test", "invoice.paid", "checkout.session.completed"]
    assert refused.status_code == 422


async def test_an_endpoint_of_a_provider_of_ones_own_can_be_tested(services: Services) -> None:
    spec = {"name": "acme", "signatures": [{"scheme": "ed25519", "header": "X-Acme"}]}
    public_key = "11" * 32
    catalogue = Catalogue({"acme": spec | {"secret": {"key_encoding": "hex"}}})
    store = DatabaseStore(services.database, services.secret_box, WEBHOOK_SECRET, "test")
    ingest = Ingest(
        IngestSettings(),
        services.database.accepting,
        store,
        services.database.waker(),
        services.ids,
        Surroundings(clock=lambda: services.now().timestamp(), catalogue=catalogue),
    )
    app = create_api(replace(services, send_test=ingest.test, catalogue=catalogue))
    async with speaking_to(app) as client:
        own = spec | {"name": "other", "secret": {"key_encoding": "hex"}}
        configs: list[dict[str, Any]] = [{"provider": "acme"}, {"config": {"provider_spec": own}}]
        for request in configs:
            webhook_id = await create(client, secret=public_key, **request)
            result = (await client.post(f"/api/webhooks/{webhook_id}/test")).json()
            assert result["response_body"]["status"] == "accepted"

    async with speaking_to(create_api(replace(services, send_test=ingest.test))) as client:
        [_, first] = (await client.get("/api/webhooks/endpoints")).json()["items"]
        gone = await client.post(f"/api/webhooks/{first['webhook_id']}/test")
    assert (gone.status_code, gone.json()["code"]) == (422, "unknown_provider")
