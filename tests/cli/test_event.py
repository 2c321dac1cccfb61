from __future__ import annotations

from tests.cli.conftest import Kanca, ScriptedServer


def test_events_are_looked_for_by_a_field(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"items": [], "next_cursor": None}))

    kanca("event", "list", "--field", "data.customer.id:42", "--url", server.url)

    assert server.received[0].path == "/api/events?field=data.customer.id%3A42&limit=50"


def test_expunging_wants_to_be_agreed_to(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"status": "expunged", "event_id": "evt_1", "replays": []}))

    refused = kanca("event", "expunge", "evt_1", "--url", server.url)
    assert (refused.exit_code, server.received) == (2, [])

    agreed = kanca("event", "expunge", "evt_1", "--yes", "--url", server.url)
    assert "expunged" in agreed.stdout
    assert [(each.method, each.path) for each in server.received] == [("POST", "/api/events/evt_1/expunge")]
