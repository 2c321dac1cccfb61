"""What one server has, another is made to have: exported, applied, and exported again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kanca.cli.main import app
from tests.acceptance.processes import ADMIN_KEY, Client, KancaProcess
from tests.servers.postgres import PostgresServer

SECRET = "whsec_" + "c2VjcmV0IG9mIGV2ZXJ5Ym9keSBoZXJl"
WHOLE = """
kanca: 1
event_types: [{name: order.created, description: An order, schema: {type: object}, example: {id: 1}, enforced: true}]
credentials: [{name: crm, kind: bearer, from_env: {token: SECRET}}]
workflows:
  - {id: flow, tenant: acme, nodes: [{id: in, type: WebhookTrigger}, {id: say, type: Log, config: {message: "yes"}}],
     edges: [{from: in, to: say}]}
  - {id: draft, publish: false, nodes: [{id: in, type: WebhookTrigger}]}
endpoints:
  - {slug: shop, tenant: acme, workflow_id: flow, config: {dedupe: content, filter: event.type == "a"}}
  - {slug: payments, provider: stripe, secret_from_env: SECRET}
  - {slug: off, active: false}
  - {webhook_id: wh_0123456789abcdef01234567, name: Without a slug}
subscriptions:
  - {id: partner, url: https://partner.example/hooks, events: ["*"], sources: [payments], credential: crm,
     retry_config: {schedule: [5, 60]}, rate_limit_per_second: 2, secret_from_env: SECRET}
  - {id: alerts, url: https://ops.example/hooks, events: [delivery.dead], sources: [operational], active: false,
     headers: {X-Team: ops}}
"""


def call(server: KancaProcess, *words: str, input: str | None = None, **environ: str) -> str:
    given = {"KANCA_URL": server.url, "KANCA_ADMIN_KEY": ADMIN_KEY, **environ}
    result = CliRunner().invoke(app, list(words), input=input, env=given, prog_name="kanca")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def empty_server(server: KancaProcess, postgres: PostgresServer, tmp_path: Path) -> KancaProcess:
    """Another server on the same kind of database, with nothing on it; not started."""
    is_sqlite = server.database_url.startswith("sqlite")
    url = f"sqlite:///{tmp_path / 'kanca.db'}" if is_sqlite else postgres.create_database("kanca_imported")
    return KancaProcess(url, tmp_path, app=None)


async def test_an_empty_server_becomes_what_another_is(
    server: KancaProcess,
    empty_server: KancaProcess,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    call(server, "apply", "-f", "-", input=WHOLE, SECRET=SECRET)
    text = call(server, "export")
    assert text == call(server, "export"), "it is written the same way twice"
    assert SECRET not in text
    assert "#   subscription alerts\n" in text, "what may be secret in it is named"
    assert "#   subscription partner\n" not in text
    variables = re.findall(r"^#   (\w+)$", text, re.MULTILINE)
    assert "ENDPOINT_PAYMENTS_SECRET" in variables
    secrets = {
        name: "wht_" + "5" * 64 if name.startswith("ENDPOINT_") and "PAYMENTS" not in name else SECRET
        for name in variables
    }
    with empty_server as other:
        call(other, "apply", "-f", "-", input=text, **secrets)
        assert call(other, "export") == text
        again = call(other, "apply", "-f", "-", input=text, **secrets)
        assert "Everything is as the manifest says." in again
        only = call(other, "export", "--kind", "endpoint", "--tenant", "acme", "--portable")
        assert only.splitlines()[1:3] == ["kanca: 1", "endpoints:"]
        assert ("slug: shop" in only, "webhook_id" in only, "payments" in only) == (True, False, False)
