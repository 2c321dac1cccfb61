from __future__ import annotations

import json

from tests.cli.conftest import Kanca, ScriptedServer


def test_all_letters_that_fit_are_retried_in_portions(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(
        (200, {"count": 1200, "items": []}),
        (200, {"count": 500}),
        (200, {"count": 500}),
        (200, {"count": 199}),
    )

    called = kanca("dlq", "retry-all", "--type", "order.created", "--url", server.url, "--json")

    assert json.loads(called.stdout) == {"status": "retry_scheduled", "count": 1199}
    assert called.stderr == ""
    counted, *retried = server.received
    assert counted.path == "/admin/dlq?event_type=order.created&limit=1"
    assert [json.loads(received.body) for received in retried] == [
        {"event_type": "order.created", "limit": limit} for limit in (500, 500, 200)
    ]


def test_where_nothing_fits_nothing_is_retried(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"count": 0, "items": []}))

    assert kanca("dlq", "retry-all", "--url", server.url).stdout == "none\n"
    assert len(server.received) == 1


def test_a_dry_run_only_says_how_many(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"status": "dry_run", "count": 7, "job_id": None}))

    retried = kanca("dlq", "retry-all", "--kind", "delivery", "--dry-run", "--url", server.url)
    purged = kanca("dlq", "purge", "--text", "asleep", "--dry-run", "--url", server.url)

    assert (retried.stdout, purged.stdout) == ("7 would be retried\n", "7 would be deleted\n")
    assert [(each.path, json.loads(each.body)) for each in server.received] == [
        ("/admin/dlq/retry", {"kind": "delivery", "dry_run": True}),
        ("/admin/dlq/purge", {"text": "asleep", "dry_run": True}),
    ]


def test_very_many_are_left_to_a_job(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(
        (200, {"count": 100_000, "items": []}),
        (200, {"status": "retry_scheduled", "count": 100_000, "job_id": "job_1"}),
    )

    called = kanca("dlq", "retry-all", "--url", server.url)

    assert called.stdout == "100000 are being retried: kanca job show job_1\n"
    assert json.loads(server.received[1].body) == {}


def test_a_purge_wants_to_be_agreed_to(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"status": "dry_run", "count": 7, "job_id": None}))

    called = kanca("dlq", "purge", "--all", "--url", server.url)

    assert (called.exit_code, len(server.received)) == (2, 1)
    assert "--yes" in called.stderr


def test_a_purge_that_is_agreed_to_is_done(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(
        (200, {"status": "dry_run", "count": 7, "job_id": None}),
        (200, {"status": "purged", "count": 7, "job_id": None}),
    )

    called = kanca("dlq", "purge", "--code", "timeout", "--yes", "--url", server.url)

    assert called.stdout == "7 deleted\n"
    assert json.loads(server.received[1].body) == {"code": "timeout"}
