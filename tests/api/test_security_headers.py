from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from kanca.api.services import Services
from tests.api.fleet import AS_ADMIN, Fleet, fleet_of

EXPECTED = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@pytest.fixture
async def fleet(services: Services) -> AsyncIterator[Fleet]:
    fleet = fleet_of(services)
    async with fleet.client:
        yield fleet


def said(answer: httpx.Response) -> dict[str, str]:
    return {name: answer.headers[name] for name in EXPECTED}


async def test_every_answer_tells_browsers_to_do_nothing_with_it(fleet: Fleet) -> None:
    answers = [
        await fleet.client.get("/api/events", headers=AS_ADMIN),
        await fleet.client.get("/api/events"),
        await fleet.client.get("/api/nothing", headers=AS_ADMIN),
        await fleet.client.get("/health/live"),
    ]

    assert [answer.status_code for answer in answers] == [200, 401, 404, 200]
    for answer in answers:
        assert said(answer) == EXPECTED
        assert "strict-transport-security" not in answer.headers


async def test_a_route_may_say_something_else(fleet: Fleet) -> None:
    event = await fleet.ask("POST", "/events/trigger", {"event_type": "a.b", "payload": {}})

    body = await fleet.client.get(f"/api/events/{event['id']}/body", headers=AS_ADMIN)

    assert body.headers.get_list("content-security-policy") == ["sandbox; default-src 'none'"]


async def test_over_https_browsers_are_to_stay_there(services: Services) -> None:
    fleet = fleet_of(services, scheme="https")
    async with fleet.client as client:
        answer = await client.get("/health/live")

    assert answer.headers["strict-transport-security"] == "max-age=31536000"
