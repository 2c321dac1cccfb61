"""What the guide says of ``kanca apply`` holds on a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kanca.cli.main import app
from tests.acceptance.processes import ADMIN_KEY, Client, KancaProcess
from tests.guides import GUIDES

SECRET = "the secret of the pushes"


def sample() -> str:
    found = re.search(r"```yaml\n(# hooks\.yaml\n.*?)```", (GUIDES / "workflows.md").read_text(), re.DOTALL)
    assert found
    return found[1]


class Applying:
    """``kanca apply`` with a text as its file."""

    def __init__(self, server: KancaProcess) -> None:
        self._server = server

    def __call__(self, text: str, *options: str, secret: str = SECRET) -> Result:
        environ = {"KANCA_URL": self._server.url, "KANCA_ADMIN_KEY": ADMIN_KEY, "GITHUB_SECRET": secret}
        return CliRunner().invoke(
            app, ["apply", "-f", "-", *options], input=text, env=environ, prog_name="kanca"
        )


@pytest.fixture
def apply(server: KancaProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Applying:
    monkeypatch.chdir(tmp_path)
    return Applying(server)


async def slugs(client: Client) -> set[str]:
    listed = await client.ask("GET", "/api/webhooks/endpoints?limit=500")
    return {item["slug"] for item in listed["items"]}


def verbs(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [
        f"{action['action']} {action['kind']} {action['id']}"
        for action in json.loads(result.stdout)["actions"]
    ]


async def test_the_sample_is_planned_applied_and_then_left_alone(apply: Applying, client: Client) -> None:
    created = ["create workflow refunds", "publish workflow refunds", "create endpoint shop-refunds"]
    created.append("create endpoint github-pushes")

    without = apply(sample(), secret="")
    assert (without.exit_code, "GITHUB_SECRET is not set" in without.stderr) == (2, True)
    assert verbs(apply(sample(), "--dry-run", "--json")) == created
    assert not {"shop-refunds", "github-pushes"} & await slugs(client)

    done = apply(sample())
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "4 done.")
    assert {"shop-refunds", "github-pushes"} <= await slugs(client)
    assert (await client.ask("GET", "/api/workflows/refunds"))["is_published"] is True

    again = apply(sample())
    assert [line.split()[0] for line in again.stdout.splitlines()[:-1]] == ["nothing"] * 3
    assert again.stdout.splitlines()[-1] == "Everything is as the file says."
    assert (await client.ask("GET", "/api/workflows/refunds"))["version"] == 1

    changed = sample().replace("100.0", "200.0").replace("600", "60")
    shown = apply(changed, "--dry-run").stdout
    assert '~ node is-big /config/condition: "double(event.data.amount) > 100.0" → ' in shown
    assert "~ /config/rate_limit_per_minute: 600 → 60" in shown
    assert "3 to do; nothing was changed." in shown
    assert "3 done." in apply(changed).stdout
    assert (await client.ask("GET", "/api/workflows/refunds"))["published_version"] == 2
    secret = apply(changed, "--credentials")
    assert "change   secret github-pushes" in secret.stdout
    for result in (without, done, again, secret):
        assert SECRET not in result.output


async def test_everything_is_checked_before_the_first_change(apply: Applying, client: Client) -> None:
    wrong = """
        kanca: 1
        workflows:
          - {id: right, nodes: [{id: in, type: WebhookTrigger}]}
          - {id: wrong, nodes: [{id: in, type: WebhookTrigger}, {id: odd, type: Teapot}]}
        endpoints:
          - {slug: of-nobody, provider: nobody}
        """
    refused = apply(wrong)
    assert refused.exit_code == 2
    assert "workflow wrong, node odd: there is no node type 'Teapot'" in refused.stderr
    assert "endpoint of-nobody: there is no provider 'nobody'" in refused.stderr
    await client.ask("GET", "/api/workflows/right", expect=404)


async def test_a_refusal_says_what_was_done_before_it(apply: Applying, client: Client) -> None:
    text = """
        kanca: 1
        workflows: [{id: before, publish: false, nodes: [{id: in, type: WebhookTrigger}]}]
        endpoints:
          - {slug: bad, provider: stripe, secret_from_env: GITHUB_SECRET}
          - {slug: after, workflow_id: before}
        """
    refused = apply(text)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: create endpoint bad: ")
    assert (
        "Done before it: create workflow before. Not done after it: create endpoint after." in refused.stderr
    )
    assert "(invalid_secret)" in refused.stderr
    assert SECRET not in refused.output
    assert (await client.ask("GET", "/api/workflows/before"))["is_published"] is False
    assert "after" not in await slugs(client)


async def test_what_is_exported_can_be_imported(
    apply: Applying, client: Client, server: KancaProcess
) -> None:
    graph: dict[str, Any] = {
        "id": "kept",
        "name": "Kept: #1",
        "nodes": [
            {"id": "in", "type": "WebhookTrigger", "config": {}},
            {"id": "b", "type": "Branch", "config": {"condition": "true"}},
            {"id": "no", "type": "Log", "config": {"message": "yes\nand no"}},
        ],
        "edges": [{"from": "in", "to": "b", "port": "out"}, {"from": "b", "to": "no", "port": "false"}],
    }
    await client.ask("POST", "/api/workflows", graph)
    environ = {"KANCA_URL": server.url, "KANCA_ADMIN_KEY": ADMIN_KEY}
    call = CliRunner().invoke

    exported = call(app, ["workflow", "export", "kept", "--format", "yaml"], env=environ)
    saved = call(app, ["workflow", "import", "-", "--json"], input=exported.stdout, env=environ)
    elsewhere = call(
        app, ["workflow", "import", "-"], input=exported.stdout.replace("id: kept", "id: copy"), env=environ
    )

    assert (saved.exit_code, elsewhere.exit_code) == (0, 0), saved.output + elsewhere.output
    assert (json.loads(saved.stdout)["version"], json.loads(saved.stdout)["is_published"]) == (2, False)
    assert (await client.ask("GET", "/api/workflows/kept"))["definition"] == graph
    assert (await client.ask("GET", "/api/workflows/copy"))["definition"] == graph | {"id": "copy"}
    assert (await client.ask("GET", "/api/workflows/kept/diff?from=1"))["is_empty"] is True
