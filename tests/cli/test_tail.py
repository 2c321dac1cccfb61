"""``kanca event tail``: a line for each thing that happens."""

from __future__ import annotations

import json
from typing import Any

from kanca.cli.tail import lines_of
from kanca.cli.tailing import Message
from tests.cli.conftest import Kanca, ScriptedServer

EVENT: dict[str, Any] = {
    "id": "evt_1",
    "event_type": "order.created",
    "source": "inbound",
    "webhook_id": "wh_1",
    "endpoint_name": "Shop",
    "provider": "stripe",
    "tenant": "default",
    "received_at": "2026-03-01T12:00:01.5Z",
    "body_bytes": 12,
    "is_test": False,
    "replay_of": None,
}
OUTCOME = {
    "id": "evt_1",
    "event_type": "order.created",
    "status": "dead",
    "processed_at": "2026-03-01T12:00:02Z",
    "reason": None,
    "error_message": "it broke",
}
REJECTION = {
    "webhook_id": "wh_1",
    "occurred_at": "2026-03-01T12:00:03Z",
    "status": 401,
    "code": "signature_mismatch",
    "detail": "signed with \x1b[31manother secret",
    "client": "203.0.113.9",
    "count": 3,
}


def shown(kind: str, data: Any) -> list[str]:
    return list(lines_of(Message(kind, data, None)))


def test_events_ends_refusals_and_gaps_are_lines() -> None:
    assert shown("event", EVENT) == ["12:00:01  order.created  evt_1  Shop (stripe)  12 bytes"]
    assert shown("outcome", OUTCOME) == ["12:00:02  → dead  order.created  evt_1  it broke"]
    assert shown("rejection", REJECTION) == [
        "12:00:03  refused  401  signature_mismatch  wh_1  203.0.113.9  3 times",
        "    signed with \\x1b[31manother secret",
    ]
    assert shown("gap", {"reason": "slow", "left_out": 4}) == [
        "–  4 ends and refusals were not shown: too much at once"
    ]
    assert shown("gap", {"reason": "expired"}) == ["–  what came next is not kept any more"]
    assert shown("of_a_newer_server", {"a": 1}) == ['{"a": 1}']


def test_what_is_unusual_is_said() -> None:
    published = EVENT | {"webhook_id": None, "source": "published", "tenant": "acme", "replay_of": "evt_0"}
    assert shown("event", published | {"is_test": True}) == [
        "12:00:01  order.created  evt_1  published  12 bytes  tenant acme  test  replay of evt_0"
    ]


def test_the_body_is_shown_below() -> None:
    with_payload = EVENT | {"payload": {"a": "\x1b"}, "is_payload_omitted": False}
    assert shown("event", with_payload)[1:] == ["    {", '      "a": "\\u001b"', "    }"]
    assert "too large" in shown("event", EVENT | {"payload": None, "is_payload_omitted": True})[1]
    assert "not text" in shown("event", EVENT | {"payload": None, "is_payload_omitted": False})[1]


def test_it_asks_for_what_its_options_say_and_prints_a_line_each(
    kanca: Kanca, server: ScriptedServer
) -> None:
    body = b"id: 1\n\nid: 2\nevent: event\ndata: %b\n\n" % json.dumps(EVENT).encode()
    server.will_answer((200, body))
    options = ["--endpoint", "shop", "--type", "order.*", "--type", "x", "--payload", "--since", "evt_0"]
    done = kanca("event", "tail", "--url", server.url, "--no-follow", "--no-rejections", *options)
    assert (done.exit_code, done.output) == (0, "12:00:01  order.created  evt_1  Shop (stripe)  12 bytes\n")
    assert server.received[0].path == (
        "/api/tail?endpoint=shop&event_type=order.%2A&event_type=x&include=outcomes&payload=true&since=evt_0"
        "&follow=false"
    )
    done = kanca("event", "tail", "--url", server.url, "--no-follow", "--json")
    assert json.loads(done.output) == {"kind": "event", "place": "2", **EVENT}


def test_refused_requests_have_not_ended(kanca: Kanca, server: ScriptedServer) -> None:
    for options, included in (
        ([], "include=outcomes&include=rejections&"),
        (["--status", "dead"], "status=dead&include=outcomes&"),
        (["--status", "dead", "--rejections"], "status=dead&include=outcomes&include=rejections&"),
    ):
        server.received.clear()
        server.will_answer((200, b"id: 1\n\n"))
        assert kanca("event", "tail", "--url", server.url, "--no-follow", *options).exit_code == 0
        assert server.received[0].path == f"/api/tail?{included}follow=false"
