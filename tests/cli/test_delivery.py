from __future__ import annotations

import json
from typing import Any

from tests.cli.conftest import Kanca, ScriptedServer

ATTEMPT: dict[str, Any] = {
    "number": 1,
    "started_at": "2026-05-04T06:00:00.123Z",
    "status": 503,
    "code": "http_status",
    "message": "It answered 503",
    "timing": {"total_ms": 12.5},
    "address": "203.0.113.9",
    "body": "no\x1b[31m",
}
DELIVERY: dict[str, Any] = {
    "id": "dlv_1",
    "subscription_id": "shop",
    "event_type": "order.created",
    "status": "dead",
    "attempt_count": 10,
    "response_status": 503,
    "reason": "http_status",
    "finished_at": "2026-05-04T06:00:00Z",
    "next_attempt_at": None,
}


def test_deliveries_are_listed(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"items": [DELIVERY], "next_cursor": None}))
    result = kanca("delivery", "list", "--status", "dead", "--subscription", "shop", "--url", server.url)
    assert result.exit_code == 0
    for shown in ("dlv_1", "shop", "order.created", "dead", "10", "503"):
        assert shown in result.stdout
    assert server.received[0].path == "/api/deliveries?subscription_id=shop&status=dead&limit=50"


def test_a_delivery_is_shown_with_its_attempts(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, DELIVERY | {"attempts": [ATTEMPT]}))
    shown = kanca("delivery", "show", "dlv_1", "--url", server.url).stdout
    for text in ("It answered 503", "12.5", "203.0.113.9", r"no\x1b[31m"):
        assert text in shown
    as_json = kanca("delivery", "show", "dlv_1", "--url", server.url, "--json")
    assert json.loads(as_json.stdout)["attempts"] == [ATTEMPT]


def test_a_delivery_is_resent(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"status": "resend_scheduled", "id": "dlv_1"}))
    assert "resend_scheduled" in kanca("delivery", "resend", "dlv_1", "--url", server.url).stdout
    assert (server.received[0].method, server.received[0].path) == ("POST", "/api/deliveries/dlv_1/resend")
