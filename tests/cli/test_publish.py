from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Kanca, ScriptedServer

DONE = {
    "status": "event_triggered",
    "event_type": "order.created",
    "event_id": "a",
    "id": "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "subscriber_count": 3,
}
TYPE = {
    "name": "order.created",
    "description": "An order.",
    "schema": {"type": "object"},
    "example": None,
    "enforced": True,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
}


@pytest.mark.parametrize(
    ("options", "body"),
    [
        ((), b"{}"),
        (("--data", '{"total":1.50}'), b'{"total":1.50}'),
        (("--data", "@data.json"), b'{"from": "file"}\n'),
        (("--data", "@-"), b"[1e999]"),
    ],
)
def test_the_payload_is_sent_as_it_was_written(
    kanca: Kanca, server: ScriptedServer, options: tuple[str, ...], body: bytes
) -> None:
    server.will_answer((202, DONE))
    Path("data.json").write_bytes(b'{"from": "file"}\n')

    called = kanca("publish", "order.created", *options, "--url", server.url, input=b"[1e999]")

    assert called.exit_code == 0, called.output
    (received,) = server.received
    assert (received.method, received.path) == ("POST", "/events/trigger?event_type=order.created")
    assert received.body == body
    assert "event_triggered" in called.stdout


def test_an_event_may_have_an_id_a_tenant_and_what_it_belongs_to(
    kanca: Kanca, server: ScriptedServer
) -> None:
    server.will_answer((202, DONE))
    named = ("--event-id", "a b", "--tenant", "shop", "--correlation-id", "c")

    called = kanca("publish", "order.created", *named, "--url", server.url, "--json")

    assert json.loads(called.stdout) == DONE
    query = "event_type=order.created&event_id=a+b&tenant=shop&correlation_id=c"
    assert server.received[0].path == f"/events/trigger?{query}"


def test_where_a_payload_does_not_fit_is_shown(kanca: Kanca, server: ScriptedServer) -> None:
    problems = [{"location": "/id", "message": "it is not of type integer"}]
    problem = {"detail": "The payload does not fit", "code": "invalid_event", "problems": problems}
    server.will_answer((422, problem))

    called = kanca("publish", "order.created", "--url", server.url)

    assert called.exit_code == 2
    assert "invalid_event" in called.stderr
    assert "it is not of type integer" in called.stderr


def test_a_file_that_is_not_there_is_said_so(kanca: Kanca, server: ScriptedServer) -> None:
    called = kanca("publish", "order.created", "--data", "@none.json", "--url", server.url)

    assert (called.exit_code, server.received) == (2, [])
    assert "none.json cannot be read" in called.stderr


def test_an_event_type_is_set_from_files(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, TYPE))
    Path("schema.json").write_text('{"type":"object"}')
    options = ("--description", "An order.", "--schema", "schema.json", "--example", "-", "--enforced")

    called = kanca("event-type", "set", "order.created", *options, "--url", server.url, input='{"id":1}')

    assert called.exit_code == 0, called.output
    (received,) = server.received
    assert (received.method, received.path) == ("PUT", "/api/event-types/order.created")
    assert json.loads(received.body) == {
        "description": "An order.",
        "schema": {"type": "object"},
        "example": {"id": 1},
        "enforced": True,
    }


def test_event_types_are_listed_shown_and_deleted(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"items": [TYPE], "next_cursor": None}), (200, TYPE), (200, {"message": "gone"}))

    listed = kanca("event-type", "list", "--url", server.url)
    shown = kanca("event-type", "show", "order.created", "--url", server.url, "--json")
    deleted = kanca("event-type", "delete", "order.created", "--url", server.url)

    assert "An order." in listed.stdout
    assert json.loads(shown.stdout) == TYPE
    assert deleted.stdout == "gone\n"
