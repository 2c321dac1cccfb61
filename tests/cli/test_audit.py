from __future__ import annotations

import json
import re

from tests.cli.conftest import Kanca, ScriptedServer

ENTRY = {
    "id": "aud_1",
    "at": "2026-03-01T12:00:00Z",
    "actor": {"kind": "tenant", "id": "acme", "name": None},
    "action": "subscription.changed",
    "subject": {"kind": "subscription", "id": "partner"},
    "tenant": "acme",
    "address": "192.0.2.7",
    "request_id": None,
    "before": {"name": "\x1b[31ma", "config": {"timeout": None}},
    "after": {"name": "b", "config": {"timeout": 5}},
    "detail": {},
}


def test_entries_are_listed_a_line_each(kanca: Kanca, server: ScriptedServer) -> None:
    other = ENTRY | {"subject": {"kind": "secret", "id": None}, "before": None, "after": None}
    server.will_answer((200, {"items": [ENTRY, other], "next_cursor": "Mg"}))

    called = kanca("audit", "list", "--actor", "acme", "--action", "subscription.*", "--url", server.url)

    assert server.received[0].path == "/api/audit?actor=acme&action=subscription.%2A&limit=50"
    lines = called.stdout.splitlines()
    assert re.split(r"\s{2,}", lines[2]) == [
        "aud_1",
        "2026-03-01 12:00:00Z",
        "tenant acme",
        "subscription.changed",
        "partner",
        "acme",
        "config, name",
    ]
    assert "secret" in lines[3]
    assert lines[-1] == "more: --cursor Mg"


def test_an_entry_shows_what_was_before_and_after(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, ENTRY), (200, ENTRY))

    shown = kanca("audit", "show", "aud_1", "--url", server.url).stdout
    as_json = kanca("audit", "show", "aud_1", "--url", server.url, "--json").stdout

    assert server.received[0].path == "/api/audit/aud_1"
    assert '"timeout": 5' in shown
    assert "\x1b" not in shown
    assert json.loads(as_json) == ENTRY
