from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from kanca.api.services import Services
from kanca.storage import credentials
from kanca.storage.ports import Database
from tests.api.conftest import Clock
from tests.api.workflow_samples import definition
from tests.egress.certificates import Authority

CREDENTIALS = "/api/credentials"
SHOP = f"{CREDENTIALS}/shop"
TOKEN = "sk_live_0123456789"
BEARER = {"kind": "bearer", "token": TOKEN}


def asking(credential: str = "shop", workflow_id: str = "test-123") -> dict[str, Any]:
    """A workflow with a node that needs the credential."""
    plain = definition(workflow_id)
    ask = {
        "id": "ask",
        "type": "HttpRequest",
        "config": {"url": "https://shop.example", "credential": credential},
    }
    return plain | {
        "nodes": [*plain["nodes"], ask],
        "edges": [*plain["edges"], {"from": "say", "to": "ask"}],
    }


async def put(client: httpx.AsyncClient, name: str = "shop", **body: Any) -> dict[str, Any]:
    answer = await client.put(f"{CREDENTIALS}/{name}", json=body or BEARER)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_credential_is_taken_in_and_never_given_out(
    client: httpx.AsyncClient, services: Services
) -> None:
    with capture_logs() as logs:
        made = await put(client)
        answers = [await client.get(SHOP), await client.get(CREDENTIALS)]
    assert answers[0].json() == made
    assert answers[1].json() == {"items": [made], "next_cursor": None}
    assert made.keys() == {"name", "kind", "created_at", "updated_at"}
    assert (made["name"], made["kind"]) == ("shop", "bearer")
    assert TOKEN not in f"{made} {[answer.text for answer in answers]} {logs}"
    found = await services.database.read(credentials.get, services.secret_box, "shop")
    assert found.values == {"token": TOKEN}


async def test_each_change_is_written_down(client: httpx.AsyncClient, clock: Clock) -> None:
    with capture_logs() as logs:
        made = await put(client)
        clock.advance(hours=1)
        replaced = await put(client, kind="basic", username="me", password="")
        await client.delete(SHOP)
    assert [(line["action"], line["subject"]) for line in logs] == [
        ("credential.created", "shop"),
        ("credential.replaced", "shop"),
        ("credential.deleted", "shop"),
    ]
    assert replaced["created_at"] == made["created_at"] < replaced["updated_at"]
    assert (await client.get(SHOP)).json()["code"] == "credential_not_found"


async def test_they_are_listed_by_name_page_by_page(client: httpx.AsyncClient) -> None:
    for name in ("c", "a", "b"):
        await put(client, name)
    first = (await client.get(CREDENTIALS, params={"limit": 2})).json()
    rest = (await client.get(CREDENTIALS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"kind": "cookie", "token": TOKEN}, "invalid_request", "kind"),
        ({"kind": "bearer", "secret": TOKEN}, "invalid_request", "secret"),
        ({"kind": "bearer"}, "invalid_credential", "token: a bearer credential needs it"),
        ({"kind": "bearer", "token": f"{TOKEN} {TOKEN}"}, "invalid_credential", "token: must be"),
        ({"kind": "bearer", "token": TOKEN, "value": "x"}, "invalid_credential", "value: is no part of"),
        ({"kind": "header", "name": "Host", "value": TOKEN}, "invalid_credential", "the header Host"),
        ({"kind": "header", "name": "X-Key", "value": f"{TOKEN}\n"}, "invalid_credential", "value: must"),
        ({"kind": "basic", "username": f"{TOKEN}:", "password": ""}, "invalid_credential", "username: must"),
    ],
)
async def test_what_cannot_be_is_refused_without_repeating_it(
    client: httpx.AsyncClient, body: dict[str, Any], code: str, words: str
) -> None:
    answer = await client.put(SHOP, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert words in answer.json()["detail"]
    assert TOKEN not in answer.text
    assert (await client.get(SHOP)).status_code == 404


async def test_a_name_is_one_that_definitions_can_write(client: httpx.AsyncClient) -> None:
    assert (await client.put(f"{CREDENTIALS}/a b", json=BEARER)).json()["code"] == "invalid_credential"
    assert (await client.get(f"{CREDENTIALS}/a b")).json()["code"] == "credential_not_found"
    assert (await client.delete(SHOP)).json()["code"] == "credential_not_found"


async def test_a_workflow_with_an_unknown_credential_is_not_published(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/workflows", json=asking())).status_code == 200
    refused = await client.post("/api/workflows/test-123/publish")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_workflow")
    assert refused.json()["problems"] == [
        {"node": "ask", "code": "unknown_credential", "message": "there is no credential 'shop'"}
    ]
    await put(client)
    assert (await client.post("/api/workflows/test-123/publish")).status_code == 200


async def test_a_credential_that_workflows_use_stays(client: httpx.AsyncClient) -> None:
    await put(client)
    for workflow_id in ("published", "newest"):
        await client.post("/api/workflows", json=asking(workflow_id=workflow_id))
    await client.post("/api/workflows/published/publish")
    await client.put("/api/workflows/published", json=definition("published"))
    await client.post("/api/workflows", json=definition("other") | {"name": '"shop"'})

    refused = await client.delete(SHOP)
    assert (refused.status_code, refused.json()["code"]) == (409, "credential_in_use")
    assert refused.json()["workflows"] == ["newest", "published"]
    assert "newest, published" in refused.json()["detail"]
    assert (await client.get(SHOP)).status_code == 200

    await client.post("/api/workflows/published/publish")
    await client.delete("/api/workflows/newest")
    assert (await client.delete(SHOP)).status_code == 200


async def test_publishing_and_deleting_at_once_leaves_no_workflow_without_its_credential(
    client: httpx.AsyncClient, database: Database
) -> None:
    for turn in range(8):
        name = f"shop-{turn}"
        await put(client, name)
        await client.post("/api/workflows", json=asking(name, name))
        await client.post("/api/workflows", json=definition(f"{name}-2"))
        # The newest version does not name it, an older one that is published meanwhile does.
        await client.put(f"/api/workflows/{name}", json=definition(name))
        published, deleted = await asyncio.gather(
            client.post(f"/api/workflows/{name}/publish", params={"version": 1}),
            client.delete(f"{CREDENTIALS}/{name}"),
        )
        assert sorted([published.status_code, deleted.status_code]) in ([200, 409], [200, 422])


OAUTH2 = {
    "kind": "oauth2",
    "token_url": "https://id.example/token",
    "client_id": "kanca",
    "client_secret": TOKEN,
    "scope": "read write",
}


async def test_what_tokens_are_fetched_with_is_taken_in(
    client: httpx.AsyncClient, services: Services
) -> None:
    assert (await put(client, **OAUTH2))["kind"] == "oauth2"
    found = await services.database.read(credentials.get, services.secret_box, "shop")
    assert found.values == {key: value for key, value in OAUTH2.items() if key != "kind"}


async def test_a_client_certificate_is_taken_in_when_it_has_its_key(
    client: httpx.AsyncClient, services: Services, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issued("Ada")
    chain = certificate + authority.pem()
    assert (await put(client, kind="mtls", certificate=chain, private_key=key))["kind"] == "mtls"
    found = await services.database.read(credentials.get, services.secret_box, "shop")
    assert found.values == {"certificate": chain, "private_key": key}

    other = authority.issued("Ada")[1]
    answer = await client.put(SHOP, json={"kind": "mtls", "certificate": chain, "private_key": other})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_credential")
    assert answer.json()["problems"] == [
        {"field": "private_key", "message": "is not the key of the first certificate"}
    ]
    assert "BEGIN" not in answer.text


async def test_a_credential_that_workflows_use_does_not_become_one_that_they_cannot_send(
    client: httpx.AsyncClient,
) -> None:
    await put(client)
    await client.post("/api/workflows", json=asking(workflow_id="newest"))
    refused = await client.put(SHOP, json=OAUTH2)
    assert (refused.status_code, refused.json()["code"]) == (409, "credential_in_use")
    assert refused.json()["workflows"] == ["newest"]
    assert (await client.get(SHOP)).json()["kind"] == "bearer"
    await client.delete("/api/workflows/newest")
    assert (await client.put(SHOP, json=OAUTH2)).status_code == 200
    await client.post("/api/workflows", json=asking())
    published = await client.post("/api/workflows/test-123/publish")
    assert published.json()["problems"][0]["code"] == "unusable_credential"
