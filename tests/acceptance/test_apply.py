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
    assert again.stdout.splitlines()[-1] == "Everything is as the manifest says."
    assert (await client.ask("GET", "/api/workflows/refunds"))["version"] == 1

    changed = sample().replace("100.0", "200.0").replace("600", "60")
    shown = apply(changed, "--dry-run").stdout
    assert '~ node is-big /config/condition: "double(event.data.amount) > 100.0" → ' in shown
    assert "~ /config/rate_limit_per_minute: 600 → 60" in shown
    assert "3 to do; nothing was changed." in shown
    assert "3 done." in apply(changed).stdout
    assert (await client.ask("GET", "/api/workflows/refunds"))["published_version"] == 2
    secret = apply(changed, "--credentials")
    assert "rotate   endpoint github-pushes" in secret.stdout
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


async def test_a_refusal_leaves_everything_as_it_was(apply: Applying, client: Client) -> None:
    text = """
        kanca: 1
        workflows: [{id: before, publish: false, nodes: [{id: in, type: WebhookTrigger}]}]
        endpoints:
          - {slug: bad, provider: stripe, secret_from_env: GITHUB_SECRET}
          - {slug: after, workflow_id: before}
        """
    for options in (["--dry-run"], []):
        refused = apply(text, *options)
        assert refused.exit_code == 2
        assert refused.stderr.startswith("Error: standard input:5 create endpoint bad: ")
        assert "Nothing was changed." in refused.stderr
        assert "(invalid_secret)" in refused.stderr
        assert SECRET not in refused.output
    await client.ask("GET", "/api/workflows/before", expect=404)
    assert not {"bad", "after"} & await slugs(client)


WHOLE = """
    kanca: 1
    event_types: [{name: cart.filled, schema: {type: object}, enforced: true}]
    credentials: [{name: cart-api, kind: basic, from_env: {username: GITHUB_SECRET, password: GITHUB_SECRET}}]
    workflows: [{id: carts, nodes: [{id: in, type: WebhookTrigger}]}]
    endpoints: [{slug: carts, workflow_id: carts, active: false}]
    subscriptions:
      - id: cart-watchers
        url: https://watchers.example/hooks
        events: [cart.*]
        sources: [carts]
        credential: cart-api
        timeout: 5
        secret_from_env: GITHUB_SECRET
    """


def codes(*results: Result) -> list[int]:
    return [result.exit_code for result in results]


async def test_all_kinds_are_made_and_told_by_the_exit_code(apply: Applying, client: Client) -> None:
    detailed = "--detailed-exitcode"
    wrong = apply("kanca: 1\nendpoints: [{}]", detailed)
    assert "standard input:2 endpoints[0]: slug or webhook_id" in wrong.stderr
    planned, done, again = apply(WHOLE, "--plan", detailed), apply(WHOLE, detailed), apply(WHOLE, detailed)
    assert codes(wrong, planned, done, again) == [1, 2, 2, 0], planned.output + done.output + again.output
    shown = await client.ask("GET", "/webhooks/subscriptions/cart-watchers")
    [endpoint] = [
        item
        for item in (await client.ask("GET", "/api/webhooks/endpoints?limit=500"))["items"]
        if item["slug"] == "carts"
    ]
    assert (shown["sources"], shown["timeout"], endpoint["is_active"]) == ([endpoint["webhook_id"]], 5, False)

    less = WHOLE[: WHOLE.index("    subscriptions")]
    kept, refused = apply(less), apply("kanca: 1", "--prune-from", str(written(WHOLE)))
    assert (kept.exit_code, refused.exit_code) == (0, 2)
    assert "This would delete subscription cart-watchers, endpoint carts" in refused.stderr
    pruned = apply("kanca: 1", "--prune-from", str(written(WHOLE)), "--yes", "--json")
    assert verbs(pruned) == [
        "delete subscription cart-watchers",
        "delete endpoint carts",
        "delete workflow carts",
        "delete credential cart-api",
        "delete event_type cart.filled",
    ]
    await client.ask("GET", "/webhooks/subscriptions/cart-watchers", expect=404)
    assert "carts" not in await slugs(client)


def written(text: str) -> Path:
    file = Path("before.yaml")
    file.write_text(text)
    return file


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
