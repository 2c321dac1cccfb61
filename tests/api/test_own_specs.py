"""Endpoints of providers that do not come with Kanca: in the server's settings, or described by the endpoint itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.ingest.prepared import prepare
from kanca.providers import Catalogue
from kanca.storage import endpoints
from tests.api.conftest import speaking_to
from tests.api.test_endpoints import ENDPOINTS, create, refused

SIGNATURE = {"scheme": "hmac", "header": "X-Acme-Signature"}
SPEC: dict[str, Any] = {
    "name": "acme",
    "title": "Acme",
    "signatures": [SIGNATURE],
    "event_type": ["{body:kind}"],
}

PING: dict[str, Any] = {"name": "ping", "method": "GET"}


CHALLENGE = {"name": "hello", "when": {"{body:x}": "1"}, "reply": {"text": "{signed:body:x}"}}


def acme(**changes: Any) -> dict[str, Any]:
    return {"provider_spec": {**SPEC, **changes}}


async def test_an_endpoint_may_bring_the_spec_of_its_provider(
    client: httpx.AsyncClient, services: Services
) -> None:
    made = await create(client, config=acme())

    assert (made["provider"], made["slug"], made["is_active"]) == ("acme", "acme", True)
    assert made["config"]["provider_spec"] == SPEC
    assert made["config"]["rate_limit_per_minute"] == 0, "what is signed needs no limit"
    shown = (await client.get(f"{ENDPOINTS}/{made['webhook_id']}")).json()
    assert shown["config"]["provider_spec"] == SPEC
    stored = await services.database.read(endpoints.by_webhook_id, services.secret_box, made["webhook_id"])
    assert stored is not None
    assert prepare(stored, services.catalogue).spec.title == "Acme"


async def test_the_name_may_be_said_beside_the_spec(client: httpx.AsyncClient) -> None:
    nameless = {"signatures": [SIGNATURE]}

    made = await create(client, provider="acme", config={"provider_spec": nameless})

    assert (made["provider"], made["config"]["provider_spec"]) == ("acme", nameless)
    assert (await refused(client, 422, config={"provider_spec": nameless}))["code"] == "invalid_provider"


@pytest.mark.parametrize(
    ("request_", "place"),
    [
        ({"config": acme(signatures=[SIGNATURE | {"encoding": "rot13"}])}, "signatures[0].encoding"),
        ({"config": acme(signatures=[])}, "signatures"),
        ({"config": acme(colour="red")}, "colour"),
        ({"config": acme(event_type=["{body"])}, "event_type"),
        ({"config": acme(handshakes=[{"name": "hello"}])}, "handshakes[0]"),
        ({"config": acme(answer={"headers": {"X-Ok": "yes\r\nX-More: yes"}})}, "answer"),
        ({"config": acme(answer={"headers": {"Content-Length": "5"}})}, "`Content-Length`"),
        ({"config": acme(answer={"content_type": "text/plain\n"})}, "answer"),
        ({"config": acme(answer={"status": 204, "body": "OK"})}, "204"),
        (
            {"config": acme(handshakes=[PING | {"reply": {"content_type": "text/\nplain"}}])},
            "handshakes[0].reply",
        ),
        ({"config": acme(handshakes=[PING | {"reply": {"headers": {"Date": "now"}}}])}, "`Date`"),
        (
            {"config": acme(signatures=[SIGNATURE | {"scheme": "ed25519"}], handshakes=[CHALLENGE])},
            "only the provider makes",
        ),
        ({"config": acme(name="Acme!")}, "name"),
        ({"config": acme(name=7)}, "name"),
        ({"config": acme(name="stripe")}, "comes with Kanca"),
        ({"config": acme(), "provider": "generic"}, "comes with Kanca"),
        ({"config": acme(), "provider": "other"}, "`acme`, and not `other`"),
        ({"config": acme() | {"provider_options": {"variant": "second"}}}, "variant"),
    ],
)
async def test_a_spec_that_cannot_be_is_refused_with_the_place(
    client: httpx.AsyncClient, request_: dict[str, Any], place: str
) -> None:
    problem = await refused(client, 422, **request_)

    assert problem["code"] == "invalid_provider"
    assert place in problem["detail"]


async def test_the_spec_can_be_changed_and_a_wrong_one_changes_nothing(client: httpx.AsyncClient) -> None:
    made = await create(client, config=acme())
    address = f"{ENDPOINTS}/{made['webhook_id']}"

    changed = await client.put(address, json={"config": acme(title="Acme Inc.")})
    others: list[dict[str, Any]] = [
        acme(title=""),
        acme(name="other"),
        {"provider_spec": []},
        {"provider_spec": None},
    ]
    wrong = [await client.put(address, json={"config": config}) for config in others]

    assert changed.json()["config"]["provider_spec"]["title"] == "Acme Inc."
    assert [answer.json()["code"] for answer in wrong] == [
        "invalid_provider",
        "invalid_provider",
        "invalid_endpoint",
        "unknown_provider",
    ]
    assert (await client.get(address)).json()["config"] == changed.json()["config"]


async def test_an_endpoint_of_a_known_provider_cannot_be_given_another(client: httpx.AsyncClient) -> None:
    made = await create(client, provider="github")

    answer = await client.put(f"{ENDPOINTS}/{made['webhook_id']}", json={"config": acme()})

    assert answer.status_code == 422
    assert "comes with Kanca" in answer.json()["detail"]


async def test_providers_of_the_settings_can_be_had_as_any_other(services: Services) -> None:
    known = replace(services, catalogue=Catalogue({"acme": SPEC | {"secret": {"is_issued": True}}}))
    async with speaking_to(create_api(known)) as client:
        made = await create(client, provider="acme")
        rotated = await client.post(
            f"{ENDPOINTS}/{made['webhook_id']}/rotate-secret", json={"secret": "acme's own"}
        )

    assert (made["provider"], made["is_active"]) == ("acme", False)
    assert "Acme" in made["hint"]
    assert rotated.json()["is_active"] is True


async def test_what_the_settings_have_no_more_is_shown_takes_nothing_and_can_be_deleted(
    services: Services,
) -> None:
    known = replace(services, catalogue=Catalogue({"acme": SPEC}))
    async with speaking_to(create_api(known)) as client:
        address = f"{ENDPOINTS}/{(await create(client, provider='acme'))['webhook_id']}"
    async with speaking_to(create_api(services)) as client:
        listed = (await client.get(ENDPOINTS)).json()["items"]
        changed = await client.put(address, json={"name": "Still there"})
        mended = await client.put(address, json={"config": acme(), "name": "Mended"})
        deleted = await client.delete(address)

    assert "provider `acme` is unknown" in listed[0]["hint"]
    assert (changed.status_code, changed.json()["code"]) == (422, "unknown_provider")
    assert (mended.json()["name"], mended.json()["hint"]) == ("Mended", None)
    assert deleted.status_code == 200
