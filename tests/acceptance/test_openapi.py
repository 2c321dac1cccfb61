"""The real server answers as its OpenAPI document says, whatever it is asked."""

from __future__ import annotations

from pathlib import Path

from kanca.domain.endpoint import RECEIVE_CONTENT_HASH_WEBHOOK_ID, RECEIVE_WEBHOOK_ID
from tests.acceptance.conformity import run_schemathesis
from tests.acceptance.processes import Client, KancaProcess

LIMIT_S = 120


async def test_every_answer_is_a_documented_one(tmp_path: Path) -> None:
    # It tries every route with wrong keys, too, and from one address.
    environ = {"KANCA_WRONG_KEYS_PER_MINUTE": "0"}
    with KancaProcess(f"sqlite:///{tmp_path / 'kanca.db'}", tmp_path, environ=environ) as server:
        options = ["--generation-deterministic", "--max-examples", "6"]
        done = await run_schemathesis(server, tmp_path, *options, limit_s=LIMIT_S)
        assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
        async with Client(server) as client:
            sent_to = {event["webhook_id"] for event in await client.events()}
    # What is signed has come in too.
    assert sent_to > {RECEIVE_WEBHOOK_ID, RECEIVE_CONTENT_HASH_WEBHOOK_ID}
