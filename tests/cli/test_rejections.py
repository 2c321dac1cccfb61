"""``kanca endpoint rejections``: nothing of what was wrong is cut."""

from __future__ import annotations

from typing import Any

from tests.cli.conftest import Kanca, ScriptedServer

DETAIL = "the body differs from what was signed: it looks re-serialised by a proxy or framework (the signature fits it)"


def _rejection(**values: Any) -> dict[str, Any]:
    return {
        "occurred_at": "2026-03-01T12:00:00.123456Z",
        "status": 401,
        "code": "signature_mismatch",
        "detail": DETAIL,
        "count": 1,
        "client": "203.0.113.9",
        "request": {
            "method": "POST",
            "path": "/webhooks/orders",
            "headers": [["x-hub-signature-256", "[71 bytes]"], ["x-odd", "\x1b[2J"]],
            "body": '{"a":\n 1}',
            "body_bytes": 9,
        },
    } | values


def test_what_was_wrong_is_shown_whole(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"items": [_rejection(), _rejection(count=41)], "next_cursor": "c1"}))

    called = kanca("endpoint", "rejections", "wh_1", "--url", server.url)

    assert called.exit_code == 0, called.output
    assert called.stdout.splitlines() == [
        "2026-03-01 12:00:00Z  401 signature_mismatch  203.0.113.9",
        f"    {DETAIL}",
        "    POST /webhooks/orders  9 bytes",
        "2026-03-01 12:00:00Z  401 signature_mismatch  203.0.113.9  41 times",
        f"    {DETAIL}",
        "    POST /webhooks/orders  9 bytes",
        "more: --cursor c1",
    ]


def test_headers_and_body_are_shown_on_demand_and_steer_no_terminal(
    kanca: Kanca, server: ScriptedServer
) -> None:
    server.will_answer((200, {"items": [_rejection()], "next_cursor": None}))

    called = kanca("endpoint", "rejections", "wh_1", "--full", "--url", server.url)

    assert called.stdout.splitlines()[3:] == [
        "    x-hub-signature-256: [71 bytes]",
        "    x-odd: \\x1b[2J",
        '    {"a":',
        "     1}",
    ]


def test_that_there_are_none_is_said(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"items": [], "next_cursor": None}))

    assert kanca("endpoint", "rejections", "wh_1", "--url", server.url).stdout == "none\n"
