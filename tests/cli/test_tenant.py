from __future__ import annotations

import json

from tests.cli.conftest import Kanca, ScriptedServer

COUNTED = (200, {"counts": {"events": 12, "dead_letters": 1}})
STARTED = (200, {"id": "job_1", "kind": "tenant.erase", "status": "pending"})


def test_a_dry_run_only_says_what_there_is(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(COUNTED)

    called = kanca("tenant", "erase", "acme", "--configuration", "--dry-run", "--url", server.url)

    assert called.stdout == "There are 12 events, 1 dead letters\n"
    [asked] = server.received
    assert (asked.path, json.loads(asked.body)) == (
        "/api/tenants/acme/erase",
        {"configuration": True, "dry_run": True},
    )


def test_an_erasure_wants_to_be_agreed_to(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(COUNTED, STARTED)

    refused = kanca("tenant", "erase", "acme", "--url", server.url)
    assert (refused.exit_code, len(server.received)) == (2, 1)

    server.will_answer(COUNTED, STARTED)
    agreed = kanca("tenant", "erase", "acme", "--yes", "--url", server.url)
    assert agreed.stdout == "It is being erased: kanca job show job_1\n"
    assert json.loads(server.received[-1].body) == {"configuration": False}
