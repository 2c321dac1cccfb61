from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kanca.cli.server import Server, find_server, local_address
from kanca.errors import NotFound, Unauthenticated
from tests.cli.conftest import Kanca, ScriptedServer

EMPTY: dict[str, Any] = {"items": [], "next_cursor": None}


def test_the_key_is_shown_and_what_is_none_is_left_out(server: ScriptedServer) -> None:
    Server(server.url + "/hooks/", "k").get("api", "events", limit=5, cursor=None)

    [received] = server.received
    assert received.path == "/hooks/api/events?limit=5"
    assert received.headers["Authorization"] == "Bearer k"


def test_an_id_cannot_lead_elsewhere(server: ScriptedServer) -> None:
    Server(server.url, None).delete("api", "workflows", "../keys?x=1")

    [received] = server.received
    assert received.path == "/api/workflows/..%2Fkeys%3Fx%3D1"
    assert "Authorization" not in received.headers


def test_a_refusal_is_raised(server: ScriptedServer) -> None:
    server.will_answer((404, {"detail": "Nowhere"}))

    with pytest.raises(NotFound, match="Nowhere"):
        Server(server.url, None).get("api")


def test_a_missing_key_is_asked_for_and_a_wrong_one_is_the_servers_to_judge(server: ScriptedServer) -> None:
    server.will_answer((401, {"detail": "The key is not valid."}))

    with pytest.raises(Unauthenticated, match="KANCA_ADMIN_KEY"):
        Server(server.url, None).get("api")
    with pytest.raises(Unauthenticated, match="not valid"):
        Server(server.url, "wrong").get("api")


def test_without_options_the_settings_say_where_the_server_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("kanca.toml").write_text('host = "0.0.0.0"\nport = 9000\nadmin_key = "the key from the file"\n')

    assert find_server(None, None) == Server("http://127.0.0.1:9000", "the key from the file")
    assert find_server("http://there", "k") == Server("http://there", "k")


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("::", "http://[::1]:1"), ("hooks.test", "http://hooks.test:1")],
)
def test_an_address_that_can_be_reached(host: str, address: str) -> None:
    assert local_address(host, 1) == address


def test_url_and_key_come_from_options_or_the_environment(kanca: Kanca, server: ScriptedServer) -> None:
    server.will_answer((200, EMPTY))

    assert kanca("event", "list", "--url", server.url, "--key", "a").exit_code == 0
    assert kanca("event", "list", KANCA_URL=server.url, KANCA_ADMIN_KEY="b").exit_code == 0

    assert [received.headers["Authorization"] for received in server.received] == ["Bearer a", "Bearer b"]


def test_json_is_what_the_server_said_byte_for_byte(kanca: Kanca, server: ScriptedServer) -> None:
    said = b'{"items": [{"payload": {"a": 1e999, "a": "\\ud800"}}], "next_cursor": null}'
    server.will_answer((200, said))

    called = kanca("event", "list", "--url", server.url, "--json")

    assert called.stdout_bytes == said + b"\n"
    assert called.stderr == ""


CALLS: list[tuple[str, str, str, Any]] = [
    ("endpoint list --workflow w", "GET", "/api/webhooks/endpoints?workflow_id=w&limit=50", None),
    ("endpoint show wh_1", "GET", "/api/webhooks/endpoints/wh_1", None),
    (
        'endpoint create --slug s --workflow w --node n --secret x --config dedupe=off --config answer={"a":1}',
        "POST",
        "/api/webhooks/endpoints",
        {
            "slug": "s",
            "workflow_id": "w",
            "node_id": "n",
            "secret": "x",
            "config": {"dedupe": "off", "answer": {"a": 1}},
        },
    ),
    (
        "endpoint update wh_1 --name n --inactive --slug= --config allowed_ips=[]",
        "PUT",
        "/api/webhooks/endpoints/wh_1",
        {"name": "n", "is_active": False, "slug": None, "config": {"allowed_ips": []}},
    ),
    ("endpoint create --provider stripe", "POST", "/api/webhooks/endpoints", {"provider": "stripe"}),
    (
        "endpoint create --spec - --config dedupe=off",
        "POST",
        "/api/webhooks/endpoints",
        {"config": {"dedupe": "off", "provider_spec": {"given": True}}},
    ),
    (
        "endpoint update wh_1 --spec -",
        "PUT",
        "/api/webhooks/endpoints/wh_1",
        {"config": {"provider_spec": {"given": True}}},
    ),
    ("endpoint delete wh_1", "DELETE", "/api/webhooks/endpoints/wh_1", None),
    ("endpoint pause wh_1", "POST", "/api/webhooks/endpoints/wh_1/pause", None),
    ("endpoint resume wh_1", "POST", "/api/webhooks/endpoints/wh_1/resume", None),
    (
        "endpoint rotate-secret wh_1 --grace-seconds 0",
        "POST",
        "/api/webhooks/endpoints/wh_1/rotate-secret",
        {"grace_seconds": 0},
    ),
    ("endpoint reveal-secret wh_1", "POST", "/api/webhooks/endpoints/wh_1/reveal-secret", None),
    ("endpoint stats wh_1", "GET", "/api/webhooks/wh_1/stats", None),
    ("endpoint rejections wh_1 --limit 3", "GET", "/api/webhooks/wh_1/rejections?limit=3", None),
    ("endpoint events wh_1 --cursor c", "GET", "/api/webhooks/wh_1/events?limit=50&cursor=c", None),
    ("endpoint test wh_1", "POST", "/api/webhooks/wh_1/test", None),
    (
        "event list --type a.b --endpoint wh_1 --status dead --correlation-id c --since 2026-01-01T00:00:00Z",
        "GET",
        "/api/events?event_type=a.b&webhook_id=wh_1&status=dead&correlation_id=c&since=2026-01-01T00%3A00%3A00Z&limit=50",
        None,
    ),
    ("event show evt_1", "GET", "/api/events/evt_1", None),
    ("event replay evt_1", "POST", "/api/events/evt_1/replay", None),
    ("workflow list", "GET", "/api/workflows?limit=50", None),
    ("workflow show w", "GET", "/api/workflows/w", None),
    ("workflow create -", "POST", "/api/workflows", {"given": True}),
    ("workflow update w -", "PUT", "/api/workflows/w", {"given": True}),
    ("workflow show w --version 2", "GET", "/api/workflows/w?version=2", None),
    ("workflow publish w --version 2", "POST", "/api/workflows/w/publish?version=2", None),
    ("workflow publish w", "POST", "/api/workflows/w/publish", None),
    ("workflow unpublish w", "POST", "/api/workflows/w/unpublish", None),
    ("workflow versions w --limit 2", "GET", "/api/workflows/w/versions?limit=2", None),
    ("workflow diff w", "GET", "/api/workflows/w/diff", None),
    ("workflow diff w --from 1 --to 2", "GET", "/api/workflows/w/diff?from=1&to=2", None),
    ("workflow rollback w", "POST", "/api/workflows/w/rollback", {}),
    ("workflow rollback w --version 1", "POST", "/api/workflows/w/rollback", {"version": 1}),
    ("workflow pause w", "POST", "/api/workflows/w/pause", None),
    ("workflow resume w", "POST", "/api/workflows/w/resume", None),
    ("workflow export w", "GET", "/api/workflows/w/export?format=json", None),
    (
        "workflow export w --format yaml --version 1",
        "GET",
        "/api/workflows/w/export?format=yaml&version=1",
        None,
    ),
    ("workflow import -", "POST", "/api/workflows", {"given": True}),
    ("workflow draw w --version 1", "GET", "/api/workflows/w/mermaid?version=1", None),
    ("run draw run_1", "GET", "/api/runs/run_1/mermaid", None),
    ("workflow delete w", "DELETE", "/api/workflows/w", None),
    (
        "workflow run w --data - --node n",
        "POST",
        "/api/workflows/w/runs",
        {"node_id": "n", "data": {"given": True}},
    ),
    ("run list --workflow w --status failed", "GET", "/api/runs?workflow_id=w&status=failed&limit=50", None),
    ("run show run_1", "GET", "/api/runs/run_1", None),
    (
        "run list --event evt_1 --waiting-for A-1 --tests",
        "GET",
        "/api/runs?event_id=evt_1&waiting_for=A-1&is_test=true&limit=50",
        None,
    ),
    ("run cancel run_1", "POST", "/api/runs/run_1/cancel", None),
    ("run retry run_1", "POST", "/api/runs/run_1/retry", {}),
    ("run retry run_1 --from n", "POST", "/api/runs/run_1/retry", {"from": "n"}),
    ("run replay run_1", "POST", "/api/runs/run_1/replay", None),
    (
        "run approve run_1 n --comment fine",
        "POST",
        "/api/runs/run_1/waits/n/resume",
        {"decision": "approve", "comment": "fine"},
    ),
    ("run reject run_1 n", "POST", "/api/runs/run_1/waits/n/resume", {"decision": "reject"}),
    (
        "run resume run_1 n --data - --iteration 2",
        "POST",
        "/api/runs/run_1/waits/n/resume",
        {"iteration": 2, "data": {"given": True}},
    ),
    ("run apply run_1 n evt_1", "POST", "/api/runs/run_1/waits/n/apply", {"event_id": "evt_1"}),
    ("run urls run_1 n", "GET", "/api/runs/run_1/waits/n/urls", None),
    ("event early --workflow w", "GET", "/api/early-events?workflow_id=w&limit=50", None),
    (
        "workflow test w --event evt_1 --version 2 --node s --output a=- --live b --live c",
        "POST",
        "/api/workflows/w/test",
        {
            "event_id": "evt_1",
            "node_id": "s",
            "version": 2,
            "live": ["b", "c"],
            "outputs": {"a": {"given": True}},
        },
    ),
    ("workflow test w --data -", "POST", "/api/workflows/w/test", {"data": {"given": True}}),
    ("provider list", "GET", "/api/providers", None),
    ("provider show stripe", "GET", "/api/providers/stripe", None),
    ("dlq list", "GET", "/admin/dlq?limit=100", None),
    (
        "dlq list --type a --endpoint wh_1 --work handler:h --code c --since 2026-01-01 --until 2026-02-01",
        "GET",
        "/admin/dlq?event_type=a&webhook_id=wh_1&work=handler%3Ah&code=c&since=2026-01-01&until=2026-02-01&limit=100",
        None,
    ),
    ("dlq show dl_1", "GET", "/admin/dlq/dl_1", None),
    ("dlq retry dl_1", "POST", "/admin/dlq/dl_1/retry", None),
    ("dlq delete dl_1", "DELETE", "/admin/dlq/dl_1", None),
]


@pytest.mark.parametrize(("words", "method", "path", "body"), CALLS, ids=[words for words, *_ in CALLS])
def test_a_command_is_one_call(
    kanca: Kanca, server: ScriptedServer, words: str, method: str, path: str, body: object
) -> None:
    server.will_answer((200, {"message": "", "test_successful": True}))

    called = kanca(*words.split(), "--url", server.url, "--json", input='{"given": true}')

    assert called.exit_code == 0, called.output
    [received] = server.received
    assert (received.method, received.path) == (method, path)
    assert (json.loads(received.body) if received.body else None) == body


def test_the_spec_of_a_provider_of_ones_own_is_sent_as_the_config_has_it(
    kanca: Kanca, server: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "acme.toml").write_text('name = "acme"\nsignatures = [{ scheme = "none" }]\n')
    (tmp_path / "broken.toml").write_text("name: acme")

    called = kanca("endpoint", "create", "--spec", "acme.toml", "--url", server.url)
    broken = kanca("endpoint", "create", "--spec", "broken.toml", "--url", server.url)

    assert called.exit_code == 0, called.output
    assert json.loads(server.received[0].body) == {
        "config": {"provider_spec": {"name": "acme", "signatures": [{"scheme": "none"}]}}
    }
    assert (broken.exit_code, "not valid TOML" in broken.stderr) == (2, True)


def test_events_are_listed_with_why_nothing_was_done_for_them(kanca: Kanca, server: ScriptedServer) -> None:
    event = {"id": "evt_1", "event_type": "order.paid", "status": "skipped", "reason": "no_target"}
    server.will_answer((200, {"items": [event], "next_cursor": None}))

    for words in (("event", "list"), ("endpoint", "events", "wh_1")):
        shown = kanca(*words, "--url", server.url).stdout
        assert shown.splitlines()[-1].split()[:4] == ["evt_1", "order.paid", "skipped", "no_target"]


def test_a_run_is_shown_with_its_steps_and_waits(kanca: Kanca, server: ScriptedServer) -> None:
    step = {"node_id": "start", "status": "succeeded", "port": "out", "attempt_number": 1}
    wait = {"node_id": "paid", "status": "open", "key": "A-1", "due_at": "2026-03-02T12:00:00Z"}
    server.will_answer((200, {"id": "run_1", "status": "waiting", "steps": [step], "waits": [wait]}))

    shown = kanca("run", "show", "run_1", "--url", server.url).stdout

    for word in ("run_1", "start", "succeeded", "paid", "A-1", "2026-03-02 12:00:00Z"):
        assert word in shown


def test_an_output_without_a_file_is_refused(kanca: Kanca, server: ScriptedServer) -> None:
    called = kanca("workflow", "test", "w", "--output", "a", "--url", server.url)

    assert called.exit_code == 2
    assert "NODE=FILE" in called.stderr
