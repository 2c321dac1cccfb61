"""The ways back in, as docs/guides/access.md says them: a lost admin key, a leaked one, a lost secret key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.processes import ADMIN_KEY, ROOT, SECRET_KEY, Client, KancaProcess, eventually

NEW_KEY = "another-secret-key-0123456789"
ENDPOINTS = "/api/webhooks/endpoints"
EVENT = {"event_type": "order.created", "data": {}}


def kanca(*words: str, **environ: str) -> Any:
    """What a command prints as JSON."""
    command = [sys.executable, "-m", "kanca", *words, "--json"]
    done = subprocess.run(
        command, capture_output=True, timeout=120, check=False, cwd=ROOT, env={**os.environ, **environ}
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


async def status_with(client: Client, key: str, path: str = "/api/keys") -> int:
    """What management answers to a key."""
    async with client.session.get(client.url + path, headers={"Authorization": f"Bearer {key}"}) as answer:
        return answer.status


async def test_who_lost_the_admin_key_gets_in_through_the_database(
    client: Client, server: KancaProcess
) -> None:
    made = kanca("key", "recover", "--database-url", server.database_url)

    async def is_known() -> bool:
        return await status_with(client, made["key"]) == 200

    await eventually(is_known, "the running server knows the key")
    asked = ("--url", server.url, "--key", made["key"])
    [listed] = kanca("key", "list", *asked)["items"]
    assert (listed["id"], listed["role"], listed["created_by"]) == (made["id"], "admin", "recovery")

    kanca("key", "revoke", made["id"], *asked)
    assert await status_with(client, made["key"]) == 401
    assert await status_with(client, ADMIN_KEY) == 200


async def test_a_revoked_key_ends_on_every_gateway_and_its_session_with_it(
    client: Client, server: KancaProcess
) -> None:
    made = kanca(
        *("key", "create", "--name", "on call", "--role", "viewer"),
        *("--url", server.url, "--key", ADMIN_KEY),
    )

    async def is_known() -> bool:
        return await status_with(client, made["key"], "/api/events") == 200

    await eventually(is_known, "every gateway knows the key")
    bearer = {"Authorization": f"Bearer {made['key']}"}
    async with client.session.post(f"{client.url}/api/session", headers=bearer) as begun:
        assert begun.status == 200
        cookie = {"Cookie": begun.headers["Set-Cookie"].partition(";")[0]}

    await client.ask("DELETE", f"/api/keys/{made['id']}")

    async def is_over() -> bool:
        async with client.session.get(f"{client.url}/api/events", headers=cookie) as answer:
            session = answer.status
        return (await status_with(client, made["key"], "/api/events"), session) == (401, 401)

    await eventually(is_over, "the key and its session have ended", limit_s=5)


async def test_who_lost_the_secret_key_forgets_what_it_opened_and_goes_on(
    database_url: str, tmp_path: Path
) -> None:
    def server_with(key: str) -> KancaProcess:
        return KancaProcess(database_url, tmp_path, app=None, environ={"KANCA_SECRET_KEY": key})

    with server_with(SECRET_KEY) as server:
        async with Client(server) as client:
            url, _ = await client.endpoint(slug="orders")
            await client.ask(
                "PUT", "/api/credentials/shop", {"kind": "bearer", "token": "a-token-0123456789"}
            )
        server.stop()
    webhook_id = url.rpartition("/")[2]
    with pytest.raises(RuntimeError, match="kanca secret forget"):
        server_with(NEW_KEY).start()

    forget = ("secret", "forget", "--unreadable", "--database-url", database_url)
    expected = {"endpoints": [webhook_id], "subscriptions": [], "credentials": ["shop"]}
    for options in (("--dry-run",), ()):
        found = kanca(*forget, *options, KANCA_SECRET_KEY=NEW_KEY)
        assert {name: found[name] for name in expected} == expected

    with server_with(NEW_KEY) as server:
        async with Client(server) as client:
            address = f"{server.url}/api/webhooks/{webhook_id}"
            async with client.session.post(address, json=EVENT) as answer:
                assert answer.status in {401, 404}
            rotated = await client.ask("POST", f"{ENDPOINTS}/{webhook_id}/rotate-secret")
            bearer = {"Authorization": f"Bearer {rotated['secret_token']}"}

            async def is_accepted() -> bool:
                async with client.session.post(address, json=EVENT, headers=bearer) as answer:
                    return bool(answer.status == 200)

            await eventually(is_accepted, "the endpoint takes events again")
            assert (await client.ask("GET", "/api/credentials"))["items"] == []
        server.stop()
