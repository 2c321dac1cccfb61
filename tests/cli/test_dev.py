"""What ``kanca dev`` prints is tried as it stands, and then everything else is called against that server."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kanca.cli.dev import own_command, what_to_try
from kanca.cli.main import app
from kanca.cli.sample import Sample
from tests.cli.running import LIMIT_S, RunningCommand

DONE = "Ctrl-C stops."
SAMPLE = Sample("/api/webhooks/wh_1", "wht_1", "/webhooks/sample-stripe", "whsec_1")


class Dev:
    """A running ``kanca dev``, and what it said."""

    def __init__(self, running: RunningCommand) -> None:
        self.running = running
        self.said = running.wait_for(DONE)
        self.url = self.said.split("is ready: ")[1].split(maxsplit=1)[0]

    def line(self, words: str) -> list[str]:
        """The line with these words, as a shell would split it."""
        [line] = [line for line in self.said.splitlines() if words in line]
        return shlex.split(line)

    def ask(self, *words: str, input: str | None = None) -> Any:
        """What a command prints with ``--json``."""
        called = CliRunner().invoke(app, [*words, "--url", self.url, "--json"], input=input)
        assert called.exit_code == 0, called.output
        assert called.stderr == ""
        return json.loads(called.stdout)

    def eventually(self, condition: Callable[[], Any]) -> Any:
        """What ``condition`` gives, once it is true: other processes cannot signal a test."""
        deadline = time.monotonic() + LIMIT_S
        while not (found := condition()):
            assert time.monotonic() < deadline, self.running.errors()[-4000:]
        return found


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dev")


@pytest.fixture(scope="module")
def dev(directory: Path) -> Iterator[Dev]:
    with RunningCommand(directory, "dev", "--port", "0") as running:
        yield Dev(running)


def _run(words: list[str], directory: Path) -> dict[str, Any]:
    called = subprocess.run(
        words,
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
        env={"PATH": "/usr/bin:/bin"},
    )
    answer: dict[str, Any] = json.loads(called.stdout)
    return answer


def test_the_printed_curl_line_works_and_its_work_succeeds(dev: Dev, directory: Path) -> None:
    accepted = _run(dev.line("curl"), directory)

    assert accepted["status"] == "accepted"

    def succeeded() -> Any:
        found = dev.ask("event", "show", accepted["event_id"])
        return found["status"] == "succeeded" and found

    event = dev.eventually(succeeded)
    assert event["payload"] == {"event_type": "test.event", "data": {"message": "hello"}}
    [run] = [run for run in dev.ask("run", "list")["items"] if run["event_id"] == accepted["event_id"]]
    assert [step["node_id"] for step in dev.ask("run", "show", run["id"])["steps"]] == ["webhook", "log"]


def test_the_printed_send_line_works(dev: Dev, directory: Path) -> None:
    sent = _run([*dev.line(" send stripe "), "--json"], directory)

    assert sent["deliveries"][0]["answer"]["status"] == "accepted"


def test_the_printed_list_lines_work(dev: Dev, directory: Path) -> None:
    assert "items" in _run([*dev.line(" event list"), "--json"], directory)
    assert "items" in _run([*dev.line(" run list"), "--json"], directory)


def test_starting_again_finds_what_is_there(dev: Dev, directory: Path) -> None:
    with RunningCommand(directory, "dev", "--port", "0") as again:
        second = Dev(again)

        assert [word.replace(second.url, dev.url) for word in second.line("curl")] == dev.line("curl")
        assert len(second.ask("endpoint", "list", "--workflow", "sample")["items"]) == 2


def test_an_endpoints_life(dev: Dev) -> None:
    made = dev.ask("endpoint", "create", "--name", "Orders", "--slug", "orders", "--config", "dedupe=off")
    webhook_id = made["webhook_id"]

    assert dev.ask("endpoint", "show", webhook_id)["config"]["dedupe"] == "off"
    assert dev.ask("endpoint", "update", webhook_id, "--slug", "", "--name", "Others")["slug"] is None
    assert dev.ask("endpoint", "pause", webhook_id)["is_paused"] is True
    assert dev.ask("endpoint", "resume", webhook_id)["is_paused"] is False
    rotated = dev.ask("endpoint", "rotate-secret", webhook_id)["secret_token"]
    assert dev.ask("endpoint", "reveal-secret", webhook_id)["secret_token"] == rotated != made["secret_token"]
    assert dev.ask("endpoint", "test", webhook_id)["test_successful"] is True
    assert len(dev.ask("endpoint", "events", webhook_id)["items"]) == 1
    assert dev.ask("endpoint", "stats", webhook_id)["webhook_id"] == webhook_id
    assert dev.ask("endpoint", "rejections", webhook_id)["items"] == []
    assert "deleted" in dev.ask("endpoint", "delete", webhook_id)["message"]
    assert webhook_id not in str(dev.ask("endpoint", "list"))


def test_a_workflows_life(dev: Dev) -> None:
    definition = json.dumps({"id": "mine", "nodes": [{"id": "start", "type": "WebhookTrigger"}]})

    assert dev.ask("workflow", "create", "-", input=definition)["version"] == 1
    assert dev.ask("workflow", "update", "mine", "-", input=definition)["version"] == 2
    assert dev.ask("workflow", "publish", "mine")["published_version"] == 2
    run = dev.ask("workflow", "run", "mine", "--data", "-", input='{"a": 1}')
    ended = dev.eventually(
        lambda: (now := dev.ask("run", "show", run["id"]))["status"] == "succeeded" and now
    )
    assert ended["output"] == {"a": 1}
    assert dev.ask("workflow", "show", "mine")["definition"]["id"] == "mine"
    assert dev.ask("workflow", "unpublish", "mine")["published_version"] is None
    assert "deleted" in dev.ask("workflow", "delete", "mine")["message"]
    assert [workflow["id"] for workflow in dev.ask("workflow", "list")["items"]] == ["sample"]


def test_an_events_exact_bytes_are_given_back_and_replayed(dev: Dev) -> None:
    webhook_id = dev.ask("endpoint", "create", "--config", "authentication_required=false")["webhook_id"]
    body = b'{"a": "\\ud800", "n": 1e999}'
    to = f"{dev.url}/api/webhooks/{webhook_id}"
    sent = CliRunner().invoke(
        app, ["send", "generic", "--to", to, "--secret", "x", "--data", "-", "--json"], input=body
    )
    event_id = json.loads(sent.stdout)["deliveries"][0]["answer"]["event_id"]

    given = CliRunner().invoke(app, ["event", "body", event_id, "--url", dev.url])

    assert given.stdout_bytes == body
    replayed = dev.ask("event", "replay", event_id)["event_id"]
    assert dev.ask("event", "show", replayed)["replay_of"] == event_id


def test_dead_letters_and_providers_are_there(dev: Dev) -> None:
    assert dev.ask("dlq", "list")["count"] == 0
    assert dev.ask("dlq", "retry-all") == {"status": "retry_scheduled", "count": 0}
    assert "stripe" in [provider["name"] for provider in dev.ask("provider", "list")["items"]]
    assert dev.ask("provider", "show", "stripe")["title"] == "Stripe"


@pytest.mark.parametrize(
    "words",
    [
        "endpoint list",
        "event list",
        "event list --status succeeded --type test.event --since 2026-01-01T00:00:00Z",
        "workflow list",
        "workflow show sample",
        "run list --workflow sample --status succeeded",
        "dlq list --type a.b --work handler:h --code c",
        "provider list",
        "provider show stripe",
    ],
)
def test_people_get_something_to_read(dev: Dev, words: str) -> None:
    called = CliRunner().invoke(app, [*words.split(), "--url", dev.url])

    assert called.exit_code == 0, called.output
    assert called.stdout.strip()
    assert not called.stdout.startswith("{")


def test_at_the_usual_address_the_lines_are_short() -> None:
    said = what_to_try("http://127.0.0.1:8000", SAMPLE, "kanca")

    assert "  kanca event list\n" in said
    assert "--url http://127.0.0.1:9000" in what_to_try("http://127.0.0.1:9000", SAMPLE, "kanca")


def test_the_command_is_named_as_it_can_be_called_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = tmp_path / "bin with space" / "kanca"
    found.parent.mkdir()
    found.touch(mode=0o755)

    monkeypatch.setattr(sys, "argv", [str(found)])
    assert own_command() == f"'{found}'"
    monkeypatch.setenv("PATH", str(found.parent))
    assert own_command() == "kanca"
    monkeypatch.setattr(sys, "argv", ["/somewhere/kanca/__main__.py"])
    assert own_command() == f"{sys.executable} -m kanca"
