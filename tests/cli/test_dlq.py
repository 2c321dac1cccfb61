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
