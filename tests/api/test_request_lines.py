"""What the log says of each request to the management API."""

from __future__ import annotations

from typing import Any

from kanca.api.access import AccessRule
from kanca.api.app import create_api
from kanca.api.guard import ManagementGuard
from kanca.api.request_lines import NamedRoute, RequestLines
from kanca.api.services import Services
from tests.api.conftest import speaking_to

Lines = list[dict[str, Any]]
KEY = "a management key of some length"
RULE = AccessRule(admin_key=KEY, is_bound_to_loopback=False)


async def ask(services: Services, path: str, key: str = KEY) -> int:
    app = RequestLines(ManagementGuard(NamedRoute(create_api(services)), RULE))
    async with speaking_to(app) as client:
        headers = {"authorization": f"Bearer {key}", "user-agent": "curl/8"}
        return (await client.get(path, headers=headers)).status_code


async def test_a_request_is_a_line_with_its_route_and_its_code(services: Services, written: Lines) -> None:
    assert await ask(services, "/api/events?limit=5") == 200
    assert await ask(services, "/api/events/evt_0197a3c2111170008000000000000000") == 404
    assert await ask(services, "/nowhere") == 404

    found, missing, nowhere = written
    assert found.pop("duration_ms") > 0
    assert found.pop("response_bytes") > 0
    assert found == {
        "event": "request",
        "is_wrong": False,
        "method": "GET",
        "route": "/api/events",
        "http_status": 200,
        "client": "127.0.0.1",
        "user_agent": "curl/8",
    }
    assert (missing["route"], missing["code"]) == ("/api/events/{event_id}", "event_not_found")
    assert (missing["http_status"], missing["is_wrong"]) == (404, True)
    assert "route" not in nowhere


async def test_who_is_refused_at_the_door_is_a_line_and_the_key_is_not_in_it(
    services: Services, written: Lines
) -> None:
    assert await ask(services, "/api/events", key="guessed-s3cr3t") == 401

    [line] = written
    assert (line["http_status"], line["code"]) == (401, "unauthenticated")
    assert "s3cr3t" not in repr(line)


async def test_probes_and_scrapes_are_no_lines_while_they_go_well(services: Services, written: Lines) -> None:
    assert await ask(services, "/health/live") == 200
    assert await ask(services, "/metrics") == 200
    assert written == []

    assert await ask(services, "/metrics", key="wrong") == 401
    assert [line["http_status"] for line in written] == [401]
