"""What a newer version has stored: read where it says nothing that is new, refused where it does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Table, select, update

from kanca.domain.endpoint import EndpointConfig
from kanca.domain.subscription import SubscriptionConfig
from kanca.errors import ConfigUnreadable
from kanca.storage import endpoints, rejections, subscriptions
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import endpoints as endpoints_table
from kanca.storage.tables import subscriptions as subscriptions_table
from tests.app.test_gateway import MANAGER, gateway_of
from tests.factories import new_endpoint, new_subscription

BOX = SecretBox(["a key of the tests"])
KEY = "a key that is long enough"


def _config(connection: Connection, table: Table, number: int) -> dict[str, Any]:
    return dict(
        json.loads(connection.execute(select(table.c.config).where(table.c.number == number)).scalar_one())
    )


def _restrict(connection: Connection, table: Table, number: int) -> None:
    """Store what only a newer version knows."""
    changed = _config(connection, table, number) | {"allowed_moons": ["europa"]}
    connection.execute(update(table).where(table.c.number == number).values(config=json.dumps(changed)))


async def test_only_what_is_set_is_stored_so_that_older_versions_read_what_does_not_use_what_is_new(
    database: Database,
) -> None:
    plain = await database.write(endpoints.create, BOX, new_endpoint())
    limited = new_endpoint(config=EndpointConfig(allowed_ips=("10.0.0.0/8",), enable_cors=False))
    limited = await database.write(endpoints.create, BOX, limited)
    receiver = new_subscription(config=SubscriptionConfig(max_in_flight=3))
    receiver = await database.write(subscriptions.create, BOX, receiver)
    assert await database.read(_config, endpoints_table, plain.number) == {}
    assert await database.read(_config, endpoints_table, limited.number) == {
        "allowed_ips": ["10.0.0.0/8"],
        "enable_cors": False,
    }
    assert await database.read(_config, subscriptions_table, receiver.number) == {"max_in_flight": 3}
    assert await database.read(endpoints.by_number, BOX, limited.number) == limited
    assert await database.read(subscriptions.get, BOX, receiver.id) == receiver


async def test_a_config_with_an_unknown_key_is_neither_read_nor_written_over(database: Database) -> None:
    endpoint = await database.write(endpoints.create, BOX, new_endpoint(slug="orders"))
    receiver = await database.write(subscriptions.create, BOX, new_subscription())
    await database.write(_restrict, endpoints_table, endpoint.number)
    await database.write(_restrict, subscriptions_table, receiver.number)
    for query, name in ((endpoints.by_webhook_id, endpoint.webhook_id), (endpoints.by_slug, "orders")):
        with pytest.raises(ConfigUnreadable, match="allowed_moons: unknown key"):
            await database.read(query, BOX, name)
    with pytest.raises(ConfigUnreadable, match="allowed_moons: unknown key"):
        await database.read(subscriptions.get, BOX, receiver.id)
    with pytest.raises(ConfigUnreadable):
        await database.write(endpoints.change, BOX, endpoint.webhook_id, lambda it: replace(it, name="x"))
    with pytest.raises(ConfigUnreadable):
        await database.write(subscriptions.change, BOX, receiver.id, lambda it: replace(it, name="x"))
    assert "allowed_moons" in await database.read(_config, endpoints_table, endpoint.number)
    assert "allowed_moons" in await database.read(_config, subscriptions_table, receiver.number)


async def test_senders_come_again_and_the_operator_sees_why(database: Database, database_url: str) -> None:
    async with gateway_of(database_url, secret_key=KEY) as client:
        made = (await client.post("/api/webhooks/endpoints", json={}, headers=MANAGER)).json()
    number = await database.read(
        lambda connection: connection.scalar(
            select(endpoints_table.c.number).where(endpoints_table.c.webhook_id == made["webhook_id"])
        )
    )
    assert number is not None
    await database.write(_restrict, endpoints_table, number)
    bearer = {"authorization": f"Bearer {made['secret_token']}"}
    async with gateway_of(database_url, secret_key=KEY) as client:
        answer = await client.post(made["endpoint_path"], json={}, headers=bearer)
        shown = await client.get(f"/api/webhooks/endpoints/{made['webhook_id']}", headers=MANAGER)
        changed = await client.put(
            f"/api/webhooks/endpoints/{made['webhook_id']}", json={"name": "x"}, headers=MANAGER
        )
    assert (answer.status_code, answer.json()["code"]) == (503, "endpoint_unusable")
    assert int(answer.headers["retry-after"]) > 0
    assert "moons" not in answer.text
    for refused in (shown, changed):
        assert (refused.status_code, refused.json()["code"]) == (409, "config_unreadable")
    causes = await database.read(rejections.causes, number)
    assert causes == {"config_unreadable": 1}
