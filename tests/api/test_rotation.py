"""Replacing an endpoint's secret again and again."""

from __future__ import annotations

import httpx
from structlog.testing import capture_logs

from kanca.api.secret_rotation import MOST_SECRETS
from kanca.api.services import Services
from kanca.app.ended_secrets import EndedSecrets
from kanca.storage import endpoints
from tests.api.conftest import Clock
from tests.api.test_endpoints import ENDPOINTS, create


async def rotate(client: httpx.AsyncClient, address: str, grace_seconds: int) -> str:
    answer = await client.post(f"{address}/rotate-secret", json={"grace_seconds": grace_seconds})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["secret_token"])


async def live(client: httpx.AsyncClient, address: str) -> list[str]:
    """The secrets that are valid now, the newest first."""
    shown = (await client.post(f"{address}/reveal-secret")).json()
    return [shown["secret_token"], *(old["secret_token"] for old in shown["old_secrets"])]


async def test_each_of_several_secrets_ends_with_its_own_grace(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    made = await create(client)
    address = f"{ENDPOINTS}/{made['webhook_id']}"
    second = await rotate(client, address, 100)
    clock.advance(seconds=50)
    third = await rotate(client, address, 100)
    assert await live(client, address) == [third, second, made["secret_token"]]
    clock.advance(seconds=49)
    assert await live(client, address) == [third, second, made["secret_token"]]
    clock.advance(seconds=1)
    assert await live(client, address) == [third, second]
    clock.advance(seconds=50)
    assert await live(client, address) == [third]


async def test_the_most_that_are_valid_at_once_are_few(client: httpx.AsyncClient) -> None:
    address = f"{ENDPOINTS}/{(await create(client))['webhook_id']}"
    made = [await rotate(client, address, 3600) for _ in range(MOST_SECRETS + 2)]
    assert await live(client, address) == made[: -MOST_SECRETS - 1 : -1]


async def test_without_grace_all_older_ones_end_and_are_stored_for_a_day(
    client: httpx.AsyncClient, services: Services, clock: Clock
) -> None:
    made = await create(client)
    address = f"{ENDPOINTS}/{made['webhook_id']}"
    second = await rotate(client, address, 3600)
    newest = await rotate(client, address, 0)
    assert await live(client, address) == [newest]

    async def stored() -> list[str]:
        found = await services.database.read(endpoints.by_webhook_id, services.secret_box, made["webhook_id"])
        assert found is not None
        return [secret.value for secret in found.secrets]

    assert await stored() == [newest, second, made["secret_token"]]
    clock.advance(days=1)
    await EndedSecrets(services.database, services.secret_box, clock).run_once()
    assert await stored() == [newest]


async def test_rotating_and_revealing_are_written_down_without_the_secrets(client: httpx.AsyncClient) -> None:
    made = await create(client)
    address = f"{ENDPOINTS}/{made['webhook_id']}"
    with capture_logs() as logs:
        newest = await rotate(client, address, 60)
        shown = await live(client, address)
    assert shown == [newest, made["secret_token"]]
    assert [(line["action"], line["subject"]) for line in logs] == [
        ("endpoint.secret_rotated", made["webhook_id"]),
        ("endpoint.secret_revealed", made["webhook_id"]),
    ]
    assert not any(secret in str(logs) for secret in shown)
