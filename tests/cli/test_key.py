from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.cli.conftest import Kanca, ScriptedServer

KEY_ID = "key_019503f0a1c27d3e8f00b4a6c8d2e1f0"


def test_a_key_is_asked_for_as_it_is_wanted_and_shown(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"id": KEY_ID, "key": "kanca_secret"}))

    called = kanca(
        *("key", "create", "--name", "shop", "--role", "publisher", "--tenant", "acme"),
        *("--expires-in-days", "30", "--url", server.url),
    )

    [received] = server.received
    body = json.loads(received.body)
    ends_in = datetime.fromisoformat(body.pop("expires_at")) - datetime.now(UTC)
    assert (received.method, received.path) == ("POST", "/api/keys")
    assert body == {"name": "shop", "role": "publisher", "tenant": "acme"}
    assert timedelta(days=29, hours=23) < ends_in <= timedelta(days=30)
    assert "kanca_secret" in called.stdout


def test_each_verb_asks_its_route(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"items": [], "next_cursor": None}))
    kanca("key", "list", "--tenant", "acme", "--url", server.url)
    server.will_answer((200, {"id": KEY_ID}))
    kanca("key", "show", KEY_ID, "--url", server.url)
    kanca("key", "change", KEY_ID, "--name", "blue", "--never-expires", "--url", server.url)
    kanca("key", "revoke", KEY_ID, "--url", server.url)

    asked = [(received.method, received.path, received.body) for received in server.received]
    path = f"/api/keys/{KEY_ID}"
    assert asked == [
        ("GET", "/api/keys?tenant=acme&limit=50", b""),
        ("GET", path, b""),
        ("PUT", path, b'{"name": "blue", "expires_at": null}'),
        ("DELETE", path, b""),
    ]


def test_a_role_that_there_is_not_is_refused_before_anything_is_asked(
    kanca: Kanca, server: ScriptedServer
) -> None:
    called = kanca("key", "create", "--name", "x", "--role", "root", "--url", server.url)

    assert called.exit_code == 2
    assert server.received == []


def test_an_api_key_of_the_environment_counts_before_the_admin_key(
    kanca: Kanca, server: ScriptedServer
) -> None:
    kanca("key", "list", "--url", server.url, KANCA_KEY="kanca_mine", KANCA_ADMIN_KEY="the-admin-key-0123")

    assert server.received[0].headers["Authorization"] == "Bearer kanca_mine"
