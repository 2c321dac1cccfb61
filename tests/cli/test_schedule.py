from __future__ import annotations

from typing import Any

from tests.cli.conftest import Kanca, ScriptedServer

SCHEDULE: dict[str, Any] = {
    "workflow_id": "report",
    "node_id": "morning",
    "version": 1,
    "cron": "0 9 * * mon-fri",
    "timezone": "Europe/Istanbul",
    "missed": "once",
    "next_at": "2026-05-04T06:00:00Z",
    "last_at": None,
}


def test_schedules_are_listed(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"items": [SCHEDULE], "next_cursor": None}))
    result = kanca("schedule", "list", "--workflow", "report", "--url", server.url)
    assert result.exit_code == 0
    for shown in ("report", "morning", "0 9 * * mon-fri", "Europe/Istanbul"):
        assert shown in result.stdout
    [received] = server.received
    assert received.path == "/api/schedules?workflow_id=report&limit=50"
