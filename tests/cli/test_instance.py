from __future__ import annotations

from tests.cli.conftest import Kanca, ScriptedServer


def test_instances_are_listed_with_their_kind_and_version(kanca: Kanca, server: ScriptedServer) -> None:
    item = {"kind": "gateway", "id": 3, "hostname": "one", "version": "1.2.3", "state": "running"}
    server.will_answer((200, {"items": [item]}))
    result = kanca("instance", "list", "--url", server.url)
    assert result.exit_code == 0
    assert all(word in result.stdout for word in ("gateway", "one", "1.2.3", "running"))
    assert server.received[0].path == "/api/instances"
