from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Kanca, ScriptedServer


def part(cursor: str | None = None, remaining: int = 0, **counts: Any) -> tuple[int, dict[str, Any]]:
    """An answer of the server's to one portion."""
    nothing = {"reencrypted": 0, "current": 0, "older": 0, "unreadable": 0}
    lists: dict[str, list[str]] = {
        "unreadable_endpoints": [],
        "unreadable_credentials": [],
        "unreadable_subscriptions": [],
    }
    return 200, nothing | lists | counts | {"remaining": remaining, "next_cursor": cursor}


def test_portions_are_asked_for_until_there_is_no_more(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(
        part("a", 101, reencrypted=60, current=40),
        part("b", 1, reencrypted=100),
        part("c", 1, reencrypted=1),  # more came meanwhile
        part(reencrypted=1),
    )

    called = kanca("secret", "rotate", "--url", server.url, "--json")

    assert json.loads(called.stdout) == {
        "is_dry_run": False,
        "reencrypted": 162,
        "current": 40,
        "older": 0,
        "unreadable": 0,
        "unreadable_endpoints": [],
        "unreadable_credentials": [],
        "unreadable_subscriptions": [],
    }
    assert (called.exit_code, called.stderr) == (0, "")
    assert {received.path for received in server.received} == {"/api/secrets/rotate"}
    asked = [json.loads(received.body) for received in server.received]
    assert asked == [{"cursor": cursor, "limit": 100, "dry_run": False} for cursor in (None, "a", "b", "c")]


def test_what_went_away_meanwhile_is_not_waited_for(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(part("a", 500, current=100), part(current=100))

    assert kanca("secret", "rotate", "--url", server.url).exit_code == 0
    assert len(server.received) == 2


@pytest.mark.parametrize(
    ("counts", "options", "exit_code"),
    [
        ({"older": 3}, ("--dry-run",), 0),
        ({"older": 1, "reencrypted": 2}, (), 1),
        ({"unreadable": 1, "unreadable_endpoints": ["wh_1"]}, (), 1),
        ({"unreadable": 1, "unreadable_credentials": ["shop"]}, (), 1),
        ({"unreadable": 1, "unreadable_subscriptions": ["partner"]}, (), 1),
        ({"unreadable": 1, "unreadable_endpoints": ["wh_1"]}, ("--dry-run",), 1),
    ],
)
def test_the_exit_code_tells_whether_all_are_under_the_first_key(
    kanca: Kanca, server: ScriptedServer, counts: dict[str, Any], options: tuple[str, ...], exit_code: int
) -> None:
    server.will_answer(part(**counts))

    called = kanca("secret", "rotate", *options, "--url", server.url, "--json")

    assert called.exit_code == exit_code
    assert json.loads(called.stdout).items() >= counts.items()
    assert json.loads(server.received[0].body)["dry_run"] is bool(options)


def test_people_see_a_line_for_each_count(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(part(reencrypted=7, current=5))

    lines = [line.split() for line in kanca("secret", "rotate", "--url", server.url).stdout.splitlines()]

    assert ["reencrypted", "7"] in lines
    assert ["current", "5"] in lines
