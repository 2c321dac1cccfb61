"""Secrets at the real server: they end when they should, their key can be replaced, and nothing else shows them."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kanca.domain.endpoint import Endpoint, Secret
from kanca.storage import endpoints
from kanca.storage.dialects import open_database
from kanca.storage.secret_box import SecretBox
from tests.acceptance.processes import ADMIN_KEY, ROOT, SECRET_KEY, Client, KancaProcess, eventually

ENDPOINTS = "/api/webhooks/endpoints"
NEW_KEY = "another-secret-key-0123456789"
EVENT = {"event_type": "secret.test", "data": {}}


async def status_of(client: Client, url: str, token: str) -> int:
    """What an event with this token is answered."""
    headers = {"Authorization": f"Bearer {token}"}
    async with client.session.post(url, json=EVENT, headers=headers) as answer:
        return answer.status


async def end_the_grace(database_url: str, webhook_id: str) -> None:
    """Let two hours pass for the old secrets of an endpoint."""

    def older(secret: Secret) -> Secret:
        return replace(secret, expires_at=secret.expires_at and secret.expires_at - timedelta(hours=2))

    def change(endpoint: Endpoint) -> Endpoint:
        return replace(endpoint, secrets=tuple(older(secret) for secret in endpoint.secrets))

    database = await open_database(database_url)
    try:
        await database.write(endpoints.change, SecretBox([SECRET_KEY]), webhook_id, change)
    finally:
        await database.close()


async def test_an_old_secret_is_good_within_its_grace_and_not_after(
    client: Client, server: KancaProcess
) -> None:
    url, first = await client.endpoint()
    webhook_id = url.rpartition("/")[2]
    rotate = f"{ENDPOINTS}/{webhook_id}/rotate-secret"
    second = (await client.ask("POST", rotate, {"grace_seconds": 3600}))["secret_token"]
    third = (await client.ask("POST", rotate, {"grace_seconds": 3600}))["secret_token"]

    async def is_known() -> bool:
        return await status_of(client, url, third) == 200

    await eventually(is_known, "the newest secret is known")
    assert [await status_of(client, url, token) for token in (first, second)] == [200, 200]

    await end_the_grace(server.database_url, webhook_id)

    async def is_over() -> bool:
        return await status_of(client, url, first) == 401

    await eventually(is_over, "the grace is over")
    assert [await status_of(client, url, token) for token in (second, third)] == [401, 200]


async def test_without_grace_the_old_secret_ends_at_once(client: Client) -> None:
    url, first = await client.endpoint()
    rotate = f"{ENDPOINTS}/{url.rpartition('/')[2]}/rotate-secret"
    assert await status_of(client, url, first) == 200
    second = (await client.ask("POST", rotate, {"grace_seconds": 0}))["secret_token"]

    async def is_over() -> bool:
        return await status_of(client, url, first) == 401

    await eventually(is_over, "the old secret has ended")
    assert await status_of(client, url, second) == 200


async def test_the_key_of_the_secrets_is_replaced_step_by_step(database_url: str, tmp_path: Path) -> None:
    def server_with(*keys: str) -> KancaProcess:
        return KancaProcess(database_url, tmp_path, app=None, environ={"KANCA_SECRET_KEY": ",".join(keys)})

    with server_with(SECRET_KEY) as server:
        async with Client(server) as client:
            url, token = await client.endpoint()
        server.stop()
    with pytest.raises(RuntimeError, match="KANCA_SECRET_KEY does not have the key"):
        server_with(NEW_KEY).start()

    with server_with(SECRET_KEY, NEW_KEY) as server:  # every instance knows the new key, none uses it yet
        assert rotate_with_command(server, "--dry-run") == {"current": 2, "older": 0, "unreadable": 0}
        server.stop()
    with server_with(NEW_KEY, SECRET_KEY) as server:
        assert rotate_with_command(server, "--dry-run") == {"current": 0, "older": 2, "unreadable": 0}
        assert rotate_with_command(server) == {"current": 0, "older": 0, "unreadable": 0}
        assert rotate_with_command(server) == {"current": 2, "older": 0, "unreadable": 0}
        server.stop()
    with server_with(NEW_KEY) as server:
        async with Client(server) as client:
            path = url.removeprefix("http://").partition("/")[2]
            assert await status_of(client, f"{server.url}/{path}", token) == 200
        server.stop()


def rotate_with_command(server: KancaProcess, *options: str) -> dict[str, int]:
    """What ``kanca secret rotate`` counts."""
    command = [sys.executable, "-m", "kanca", "secret", "rotate", "--json", "--url", server.url, *options]
    done = subprocess.run(
        [*command, "--key", ADMIN_KEY], capture_output=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr.decode()
    counted = json.loads(done.stdout)
    return {name: counted[name] for name in ("current", "older", "unreadable")}


class Listener(Client):
    """A client that remembers all that it is told but for what may tell a secret."""

    def __init__(self, server: KancaProcess) -> None:
        super().__init__(server)
        self.heard: list[str] = []

    async def say(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Status and text of an answer. ``body`` is JSON, or bytes as they are; without ``headers`` comes the key."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {ADMIN_KEY}"} if headers is None else headers
        given = {"Content-Type": "application/json", **given}
        async with self.session.request(method, self.url + path, data=content, headers=given) as answer:
            text = await answer.text()
            self.heard.append(f"{method} {path} → {answer.status} {dict(answer.headers)} {text}")
            return answer.status, text

    async def is_told(self, path: str, body: Any) -> Any:
        """An answer that tells a secret, and is not remembered."""
        status, text = await self.say("POST", path, body)
        del self.heard[-1]
        assert status == 200, text
        return json.loads(text)


@pytest.fixture
async def listener(database_url: str, tmp_path: Path) -> AsyncIterator[tuple[Listener, KancaProcess]]:
    """A client of a server that logs all it can."""
    environ = {"KANCA_LOG_LEVEL": "debug", "KANCA_LOG_FORMAT": "json"}
    with KancaProcess(database_url, tmp_path, environ=environ) as server:
        async with Listener(server) as client:
            yield client, server


CANARY = "canary-0123456789abcdef-sings"
"""A secret that the user gives."""


async def test_secrets_show_in_no_log_and_no_other_answer(listener: tuple[Listener, KancaProcess]) -> None:
    client, server = listener
    generic = await client.is_told(ENDPOINTS, {"slug": "mine", "config": {"allowed_event_types": ["a.*"]}})
    github = await client.is_told(ENDPOINTS, {"provider": "github", "secret": CANARY})
    secrets = [CANARY, generic["secret_token"]]
    for made in (generic, github):
        address = f"{ENDPOINTS}/{made['webhook_id']}"
        rotated = await client.is_told(f"{address}/rotate-secret", {"grace_seconds": 60})
        secrets.append(rotated["secret_token"])
        assert (await client.is_told(f"{address}/reveal-secret", None))["old_secrets"]

    await _send_well_and_badly(client, generic["endpoint_path"], github["endpoint_path"], secrets)
    await _mistake_fields(client, f"{ENDPOINTS}/{github['webhook_id']}")
    for made in (generic, github):
        await _read_everything(client, made["webhook_id"])
    server.stop()

    log = server.log()
    assert log.count("secret_revealed") == 2
    for secret in (*secrets, ADMIN_KEY, SECRET_KEY):
        assert [said for said in client.heard if secret in said] == []
        assert [line for line in log.splitlines() if secret in line] == []


async def _send_well_and_badly(client: Listener, generic: str, github: str, secrets: list[str]) -> None:
    """Events that are taken and such that are refused, the secret in all of them."""
    bearer = {"Authorization": f"Bearer {secrets[1]}"}
    body = {"event_type": "a.b", "event_id": "e-1", "data": {}}
    answers = [
        await client.say("POST", generic, body, bearer),
        await client.say("POST", "/webhooks/mine", body, bearer),
        await client.say("POST", generic, {"event_type": "other"}, bearer),
        await client.say("POST", generic, b"{", bearer),
        await client.say("POST", generic, body, {"Authorization": f"Basic {secrets[1]}"}),
        await client.say("POST", generic, body, {"X-Webhook-Token": secrets[1]}),
        await client.say("PUT", generic, body, bearer),
    ]
    assert [status for status, _ in answers] == [200, 200, 400, 400, 401, 401, 405]
    signature = hmac.new(CANARY.encode(), b"{}", hashlib.sha256).hexdigest()
    event = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d-1"}
    for told, expected in ((f"sha256={signature}", 200), ("sha256=00", 401), (CANARY, 401)):
        status, text = await client.say("POST", github, b"{}", {**event, "X-Hub-Signature-256": told})
        assert status == expected, text


async def _mistake_fields(client: Listener, address: str) -> None:
    """Requests to management that are refused, the secret in all of them."""
    mistakes: list[tuple[str, str, Any]] = [
        ("POST", ENDPOINTS, {"secret": [CANARY]}),
        ("POST", ENDPOINTS, {"secret": {"value": CANARY}}),
        ("POST", ENDPOINTS, {"secret": CANARY * 100}),
        ("POST", ENDPOINTS, {"secret_token": CANARY}),
        ("POST", ENDPOINTS, {"provider": "stripe", "secret": CANARY}),
        ("POST", ENDPOINTS, {"slug": f"{CANARY} "}),
        ("POST", ENDPOINTS, {"name": f"{CANARY}\n"}),
        ("POST", ENDPOINTS, {"tenant": f"{CANARY} "}),
        ("POST", ENDPOINTS, {"config": CANARY}),
        ("POST", ENDPOINTS, {"config": {"secret": CANARY}}),
        (
            "POST",
            ENDPOINTS,
            {"config": {"dedupe": CANARY, "max_payload_size": CANARY, "enable_cors": CANARY}},
        ),
        ("POST", ENDPOINTS, CANARY),
        ("POST", ENDPOINTS, f'{{"secret": "{CANARY}"'.encode()),
        ("PUT", address, {"secret": CANARY}),
        ("PUT", address, {"is_active": CANARY}),
        ("POST", f"{address}/rotate-secret", {"grace_seconds": CANARY}),
        ("POST", f"{address}/rotate-secret", {"secret": CANARY, "grace_seconds": -1}),
        ("POST", f"{address}/rotate-secret", CANARY),
        ("POST", "/api/secrets/rotate", {"cursor": CANARY}),
        ("GET", f"{ENDPOINTS}?limit={CANARY}", None),
    ]
    for method, path, body in mistakes:
        status, text = await client.say(method, path, body)
        assert status == 422, (method, path, body, text)
        if CANARY in path:
            client.heard[-1] = text


async def _read_everything(client: Listener, webhook_id: str) -> None:
    """Whatever can be read about an endpoint, its events and the server."""

    async def is_told_about() -> bool:
        return bool(
            json.loads((await client.say("GET", f"/api/webhooks/{webhook_id}/rejections"))[1])["items"]
        )

    await eventually(is_told_about, "the rejections are listed")
    _, listed = await client.say("GET", f"/api/webhooks/{webhook_id}/events")
    for event in json.loads(listed)["items"]:
        await client.say("GET", f"/api/events/{event['id']}")
    for path in (
        ENDPOINTS,
        f"{ENDPOINTS}/{webhook_id}",
        f"/api/webhooks/{webhook_id}/stats",
        "/api/events",
        "/api/instances",
        "/health",
        "/health/processor",
        "/metrics",
        "/openapi.json",
        "/admin/dlq",
    ):
        status, text = await client.say("GET", path)
        assert status == 200, text
    for path, body in (
        (f"/api/webhooks/{webhook_id}/test", None),
        ("/api/secrets/rotate", {"dry_run": True}),
    ):
        await client.say("POST", path, body)
    await client.say("PUT", f"{ENDPOINTS}/{webhook_id}", {"name": "Else"})
    await client.say("POST", f"{ENDPOINTS}/{webhook_id}/pause")
    await client.say("POST", f"{ENDPOINTS}/{webhook_id}/resume")
    await client.say("DELETE", f"{ENDPOINTS}/{webhook_id}")
