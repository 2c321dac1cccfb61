from __future__ import annotations

import json

from tests.cli.conftest import Kanca, ScriptedServer

MADE = {"token": "kpt_secret", "tenant": "acme", "read_only": True, "expires_at": "2026-03-01T13:00:00Z"}


def test_a_token_is_asked_for_and_shown(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, MADE))

    options = ("--tenant", "acme", "--expires-in", "900", "--read-only")
    called = kanca("portal", "token", *options, "--url", server.url)

    assert called.exit_code == 0, called.output
    assert "kpt_secret" in called.stdout
    (received,) = server.received
    assert (received.method, received.path) == ("POST", "/api/portal/tokens")
    assert json.loads(received.body) == {"tenant": "acme", "expires_in_seconds": 900, "read_only": True}


def test_an_hour_and_changes_are_what_is_usual(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, MADE))

    called = kanca("portal", "token", "--tenant", "acme", "--url", server.url, "--json")

    assert json.loads(called.stdout) == MADE
    assert json.loads(server.received[0].body) == {
        "tenant": "acme",
        "expires_in_seconds": 3600,
        "read_only": False,
    }
