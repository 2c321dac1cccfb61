"""Guessing keys is slow, and holds up nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import PlainTextResponse

from kanca.api.access import AccessRule
from kanca.api.failed_attempts import MOST_OF_CLIENT, FailedAttempts
from kanca.api.guard import ManagementGuard
from kanca.api.services import Services
from kanca.domain.api_key import Role
from tests.api.conformity import check_problem
from tests.api.fleet import ADMIN_KEY, Fleet, bearer, fleet_of
from tests.api.test_failed_attempts import SharedCounters

RULE = AccessRule(admin_key=ADMIN_KEY, is_bound_to_loopback=False)


@pytest.fixture
async def fleet(services: Services) -> AsyncIterator[Fleet]:
    fleet = fleet_of(services, failures=FailedAttempts(lambda: 1000.0))
    async with fleet.client:
        yield fleet


def from_address(address: str, failures: FailedAttempts) -> httpx.AsyncClient:
    guard = ManagementGuard(PlainTextResponse("let through"), RULE, failures=failures)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(guard, client=(address, 1)), base_url="http://k.test"
    )


async def test_who_guesses_waits_even_with_the_right_key() -> None:
    failures = FailedAttempts(lambda: 1000.0)
    async with from_address("192.0.2.1", failures) as guesser, from_address("192.0.2.2", failures) as other:
        guesses = [
            await guesser.get("/api/events", headers=bearer(f"guess-{number}"))
            for number in range(MOST_OF_CLIENT)
        ]
        locked = await guesser.get("/api/events", headers=bearer(ADMIN_KEY))
        elsewhere = await other.get("/api/events", headers=bearer(ADMIN_KEY))
        healthy = await guesser.get("/health")

    assert {answer.status_code for answer in guesses} == {401}
    problem = check_problem(locked)
    assert (locked.status_code, problem["code"], problem["retry_after_seconds"]) == (
        429,
        "too_many_failures",
        60,
    )
    assert locked.headers["retry-after"] == "60"
    assert (elsewhere.status_code, healthy.status_code) == (200, 200)


async def test_requests_without_a_key_are_no_guesses() -> None:
    failures = FailedAttempts(lambda: 1000.0)
    async with from_address("192.0.2.1", failures) as client:
        for _ in range(MOST_OF_CLIENT + 1):
            assert (await client.get("/api/events")).status_code == 401
            basic = {"authorization": "Basic b3BzOnNlY3JldA=="}
            assert (await client.get("/api/events", headers=basic)).status_code == 401
        assert (await client.get("/api/events", headers=bearer(ADMIN_KEY))).status_code == 200


async def test_a_key_that_has_ended_is_no_guess(fleet: Fleet) -> None:
    now = fleet.services.now()
    _, expired = await fleet.key(Role.VIEWER, expires_at=now)
    _, revoked = await fleet.key(Role.VIEWER, revoked_at=now)

    for _ in range(MOST_OF_CLIENT):
        assert (await fleet.refusal("GET", "/api/events", bearer(expired)))[1] == "key_expired"
        assert (await fleet.refusal("GET", "/api/events", bearer(revoked)))[1] == "key_revoked"


async def test_guessed_api_keys_and_tokens_count(fleet: Fleet) -> None:
    for number in range(MOST_OF_CLIENT // 2):
        await fleet.refusal("GET", "/api/events", bearer(f"kanca_{number:043}"))
        await fleet.refusal("GET", "/api/events", bearer(f"kpt_{number}"))

    assert (await fleet.refusal("GET", "/api/events", bearer(ADMIN_KEY)))[0] == 429


async def test_a_guesser_is_held_up_by_every_gateway_that_shares_counters() -> None:
    shared = SharedCounters()
    statuses = []
    for gateway in range(2):
        failures = FailedAttempts(lambda: 1000.0, shared=shared)
        async with from_address("192.0.2.1", failures) as guesser:
            for _ in range(MOST_OF_CLIENT if gateway == 0 else 2):
                answer = await guesser.get("/api/keys", headers={"authorization": "Bearer wrong"})
                statuses.append(answer.status_code)

    assert statuses == [401] * MOST_OF_CLIENT + [401, 429]
