from __future__ import annotations

import httpx
from structlog.testing import capture_logs

from kanca.api.access import AccessRule
from kanca.api.app import create_api
from kanca.api.guard import ManagementGuard
from kanca.api.services import Services
from kanca.domain.portal_token import KEY_LABEL, PortalToken, make_token
from kanca.telemetry.metrics import MANAGEMENT_REFUSED


def _counted(code: str) -> float:
    samples = [sample for metric in MANAGEMENT_REFUSED.collect() for sample in metric.samples]
    of_code = {"code": code}
    return next(
        (each.value for each in samples if each.labels == of_code and each.name.endswith("_total")), 0.0
    )


async def test_who_is_not_let_in_is_counted_and_logged_without_what_they_sent(services: Services) -> None:
    keys = services.secret_box.derived(KEY_LABEL)
    token = make_token(keys, PortalToken("acme", services.now().replace(year=2100), is_read_only=False))
    guard = ManagementGuard(create_api(services), AccessRule("the-key", False), keys, services.now)
    transport = httpx.ASGITransport(guard, client=("192.0.2.7", 4711))
    before = {code: _counted(code) for code in ("unauthenticated", "not_for_tenants")}

    async with httpx.AsyncClient(transport=transport, base_url="http://kanca.test") as client:
        with capture_logs() as logs:
            await client.get(
                "/api/events", params={"key": "guessed"}, headers={"authorization": "Bearer guessed"}
            )
            await client.delete("/api/credentials/shop", headers={"authorization": f"Bearer {token}"})
            theirs = {"sources": ["wh"], "url": "https://a.example", "events": ["*"]}
            await client.post(
                "/webhooks/subscriptions", headers={"authorization": f"Bearer {token}"}, json=theirs
            )
            await client.get("/api/events", headers={"authorization": "Bearer the-key"})

    assert [(line["event"], line["code"], line["method"], line["path"], line["peer"]) for line in logs] == [
        ("management_refused", "unauthenticated", "GET", "/api/events", "192.0.2.7"),
        ("management_refused", "not_for_tenants", "DELETE", "/api/credentials/shop", "192.0.2.7"),
        ("management_refused", "not_for_tenants", "POST", "/webhooks/subscriptions", "192.0.2.7"),
    ]
    assert "guessed" not in str(logs)
    assert token not in str(logs)
    assert {code: _counted(code) - before[code] for code in before} == {
        "unauthenticated": 1,
        "not_for_tenants": 2,
    }
