from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.domain.credential import read_credential
from kanca.domain.endpoint import Secret
from kanca.storage import credentials, endpoints, subscriptions
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from tests.api.conftest import speaking_to
from tests.factories import new_endpoint, new_subscription

ROTATE = "/api/secrets/rotate"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
OLD, NEW = "the old key of the tests", "the new key of the tests"


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that knows a new key in front of the old one."""
    app = create_api(replace(services, secret_box=SecretBox([NEW, OLD])))
    async with speaking_to(app) as client:
        yield client


async def stored(database: Database, *keys: str) -> list[str]:
    """Endpoints with secrets sealed with these keys, one each; gives their ids."""
    made = [
        await database.write(endpoints.create, SecretBox([key]), new_endpoint(secrets=(Secret("s"),)))
        for key in keys
    ]
    return [endpoint.webhook_id for endpoint in made]


async def rotate(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(ROTATE, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_all_secrets_come_under_the_first_key_portion_by_portion(
    client: httpx.AsyncClient, database: Database
) -> None:
    made = await stored(database, OLD, NEW, OLD, OLD, NEW)
    first = await rotate(client, limit=2)
    assert first == {
        "reencrypted": 1,
        "current": 1,
        "older": 0,
        "unreadable": 0,
        "unreadable_endpoints": [],
        "unreadable_credentials": [],
        "unreadable_subscriptions": [],
        "remaining": 3,
        "next_cursor": first["next_cursor"],
    }
    second = await rotate(client, limit=2, cursor=first["next_cursor"])
    assert (second["reencrypted"], second["remaining"]) == (2, 1)
    third = await rotate(client, limit=2, cursor=second["next_cursor"])
    assert (third["current"], third["remaining"], third["next_cursor"]) == (1, 0, None)

    again = (await client.post(ROTATE)).json()
    assert (again["reencrypted"], again["current"]) == (0, 5)
    for webhook_id in made:
        endpoint = await database.read(endpoints.by_webhook_id, SecretBox([NEW]), webhook_id)
        assert endpoint is not None
        assert endpoint.secrets == (Secret("s"),)


async def test_credentials_come_under_the_first_key_behind_the_endpoints(
    client: httpx.AsyncClient, database: Database
) -> None:
    await stored(database, OLD, NEW)
    for name, key in (("a", OLD), ("7", OLD), ("lost", "a key that nobody has any more")):
        credential = read_credential(name, "bearer", {"token": f"token-of-{name}"})
        await database.write(credentials.put, SecretBox([key]), credential, NOW)

    first = await rotate(client, limit=3)
    assert (first["reencrypted"], first["current"], first["remaining"]) == (2, 1, 2)
    rest = await rotate(client, limit=3, cursor=first["next_cursor"])

    assert (rest["reencrypted"], rest["unreadable"], rest["remaining"]) == (1, 1, 0)
    assert (rest["unreadable_endpoints"], rest["unreadable_credentials"]) == ([], ["lost"])
    for name in ("a", "7"):
        found = await database.read(credentials.get, SecretBox([NEW]), name)
        assert found.values == {"token": f"token-of-{name}"}


async def test_subscriptions_come_under_the_first_key_behind_all_others(
    client: httpx.AsyncClient, database: Database
) -> None:
    await stored(database, OLD)
    credential = read_credential("shop", "bearer", {"token": "token-of-shop"})
    await database.write(credentials.put, SecretBox([OLD]), credential, NOW)
    for name, key in (("a", OLD), ("b", OLD), ("lost", "a key that nobody has any more")):
        subscription = new_subscription(id=name, secrets=(Secret(f"secret-of-{name}"),))
        await database.write(subscriptions.create, SecretBox([key]), subscription)

    first = await rotate(client, limit=3)
    assert (first["reencrypted"], first["remaining"]) == (3, 2)
    rest = await rotate(client, limit=3, cursor=first["next_cursor"])

    assert (rest["reencrypted"], rest["unreadable"], rest["next_cursor"]) == (1, 1, None)
    assert rest["unreadable_subscriptions"] == ["lost"]
    for name in ("a", "b"):
        found = await database.read(subscriptions.get, SecretBox([NEW]), name)
        assert found is not None
        assert found.secrets == (Secret(f"secret-of-{name}"),)


async def test_begun_anew_after_an_interruption_it_goes_on_with_the_rest(
    client: httpx.AsyncClient, database: Database
) -> None:
    await stored(database, OLD, OLD, OLD)
    await rotate(client, limit=2)
    rest = await rotate(client)
    assert (rest["reencrypted"], rest["current"]) == (1, 2)


async def test_a_dry_run_counts_and_changes_nothing(client: httpx.AsyncClient, database: Database) -> None:
    _, _, lost = await stored(database, OLD, NEW, "a key that nobody has any more")
    with capture_logs() as logs:
        for _ in range(2):
            counted = await rotate(client, dry_run=True)
            counts = [counted[name] for name in ("reencrypted", "current", "older", "unreadable")]
            assert counts == [0, 1, 1, 1]
            assert counted["unreadable_endpoints"] == [lost]
    assert logs == []


async def test_what_no_key_opens_does_not_hold_up_the_rest(
    client: httpx.AsyncClient, database: Database
) -> None:
    await stored(database, "a key that nobody has any more", OLD)
    with capture_logs() as logs:
        done = await rotate(client)
    assert (done["reencrypted"], done["unreadable"]) == (1, 1)
    assert [(line["action"], line["count"]) for line in logs] == [("secrets.reencrypted", 1)]


async def test_without_secrets_there_is_nothing_to_do(client: httpx.AsyncClient) -> None:
    nothing = await rotate(client)
    assert (nothing["current"], nothing["remaining"], nothing["next_cursor"]) == (0, 0, None)


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 0},
        {"limit": 501},
        {"cursor": "!"},
        {"cursor": "OTk5OTk5OTk5OQ"},  # 9,999,999,999
        {"cursor": "x" * 201},
        {"cursor": "Y3JlZGVudGlhbCBhIGI"},  # credential a b
        {"cursor": "c3Vic2NyaXB0aW9uIHg"},  # subscription x
        {"dry_run": "perhaps"},
        {"keys": []},
    ],
)
async def test_a_request_of_another_form_is_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    assert (await client.post(ROTATE, json=body)).status_code == 422
