from __future__ import annotations

import json
from typing import Any

import pytest

from kanca.cli import replay
from tests.cli.conftest import Kanca, ScriptedServer

REPLAY: dict[str, Any] = {"id": "rpl_1", "status": "pending", "total": 3, "queued": 0}


def test_a_replay_is_started_for_one_subscription_or_for_all(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"count": 3}), (200, REPLAY))
    since = ("--since", "2026-03-01", "--url", server.url)
    counted = kanca("replay", "start", *since, "--subscription", "shop", "--dry-run", "--json")
    begun = kanca(
        "replay", "start", *since, "--only", "missing", "--type", "a.*", "--type", "b", "--rate", "5"
    )
    assert json.loads(counted.stdout) == {"count": 3}
    assert "rpl_1" in begun.stdout
    one, all_ = server.received
    assert one.path == "/webhooks/subscriptions/shop/replay"
    assert json.loads(one.body) == {"since": "2026-03-01", "only": "failed", "dry_run": True}
    assert all_.path == "/api/deliveries/replay"
    assert json.loads(all_.body) == {
        "since": "2026-03-01",
        "only": "missing",
        "event_types": ["a.*", "b"],
        "rate_per_second": 5.0,
    }


def test_one_may_wait_until_a_replay_is_over(
    kanca: Kanca, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "LOOK_AGAIN_S", 0)
    running, finished = {"status": "running", "queued": 2}, {"status": "finished", "queued": 3}
    server.will_answer((200, REPLAY), (200, REPLAY | running), (200, REPLAY | finished))
    done = kanca("replay", "start", "--since", "2026-03-01", "--wait", "--json", "--url", server.url)
    assert json.loads(done.stdout) == REPLAY | finished
    assert done.stderr == ""
    assert [each.path for each in server.received[1:]] == ["/api/replays/rpl_1"] * 2


def test_replays_are_listed_shown_and_cancelled(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"items": [REPLAY], "next_cursor": None}), (200, REPLAY))
    for words in (("list",), ("show", "rpl_1"), ("cancel", "rpl_1")):
        assert "rpl_1" in kanca("replay", *words, "--url", server.url).stdout
    assert [(each.method, each.path) for each in server.received] == [
        ("GET", "/api/replays?limit=50"),
        ("GET", "/api/replays/rpl_1"),
        ("POST", "/api/replays/rpl_1/cancel"),
    ]
