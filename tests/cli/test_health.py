from __future__ import annotations

from tests.cli.conftest import Kanca, ScriptedServer


def test_a_server_that_takes_webhooks_is_well(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"status": "ready"}))
    result = kanca("health", "--url", server.url)
    assert (result.exit_code, "ready" in result.stdout) == (0, True)
    assert [received.path for received in server.received] == ["/health/ready"]


def test_one_that_only_lives_is_told_apart(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer(
        (503, {"title": "Not ready", "detail": "It is shutting down."}), (200, {"status": "alive"})
    )
    refused = kanca("health", "--url", server.url)
    assert (refused.exit_code, "shutting down" in refused.stderr) == (6, True)
    assert kanca("health", "--live", "--url", server.url, "--json").stdout == '{"status": "alive"}\n'


def test_without_an_address_it_asks_where_serve_would_listen(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, {"status": "ready"}))
    port = server.url.rpartition(":")[2]
    assert kanca("health", KANCA_HOST="0.0.0.0", KANCA_PORT=port).exit_code == 0
    assert kanca("health", KANCA_HOST="127.0.0.1", KANCA_PORT="1").exit_code == 6
