"""The real server, started as a user starts it, and killed as no user would."""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

ROOT = Path(__file__).parents[2]
SOURCES = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
"""Where the server's process finds this code, and not what may be installed besides, and the tests' apps."""
LOOKS_S = 0.2
LIMIT_S = 60
"""The longest that anything here may take."""
POLL_S = 0.05

ADMIN_KEY = "acceptance-admin-key"
SECRET_KEY = "acceptance-secret-key-0123456789"
WEBHOOK_SECRET = "acceptance-webhook-secret"
READY = "Kanca is ready: "

# The server takes the place of this shell. What stays behind reads its standard input, which the test holds open:
# when that ends, the test is gone, however it went, and the server's whole group goes too.
_LEASH = 'exec 3<&0; (read -r _ <&3 || kill -KILL -$$) & exec "$@" </dev/null 3<&-'
LEASHED = ("/bin/sh", "-c", _LEASH, "leash")


class KancaProcess:
    """``kanca serve`` in a process group of its own, on a port that the system chooses."""

    def __init__(
        self,
        database_url: str,
        directory: Path,
        *options: str,
        app: str | None = "tests.acceptance.app:hooks",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.database_url = database_url
        self._directory = directory
        self._options = [*options, *(["--app", app] if app else [])]
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KANCA_")},
            "KANCA_DATABASE_URL": database_url,
            "KANCA_ADMIN_KEY": ADMIN_KEY,
            "KANCA_SECRET_KEY": SECRET_KEY,
            "KANCA_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "KANCA_LOG_LEVEL": "warning",
            "KANCA_WORKER_LEASE_SECONDS": "2",
            "PYTHONPATH": SOURCES,
            "PYTHONUNBUFFERED": "1",
            "CALLS_FILE": str(directory / "calls.txt"),
            **(environ or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Start the server; return once it says that it serves. Raises RuntimeError with its log when it does not."""
        log = (self._directory / "server.log").open("ab")
        port = self.url.rpartition(":")[2] or "0"  # the same as before
        self._process = subprocess.Popen(
            [*LEASHED, sys.executable, "-m", "kanca", "serve", "--port", port, *self._options],
            cwd=self._directory,
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self.url = self._read_address(self._process)

    def kill(self) -> None:
        """Kill supervisor, gateways and workers at once with SIGKILL; return when they are gone."""
        process = self._take()
        os.killpg(process.pid, signal.SIGKILL)
        _wait(process)

    def stop(self) -> int:
        """Ask the server to stop; gives its exit code."""
        process = self._take()
        process.terminate()
        try:
            return process.wait(LIMIT_S)
        finally:
            _kill_group(process)

    def children(self, kind: str) -> list[int]:
        """Process ids of the running gateways or workers."""
        assert self._process is not None
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
                command = (path / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == self._process.pid and f"kanca.app.{kind}_process".encode() in command:
                found.append(int(path.name))
        return found

    def log(self) -> str:
        """What the server wrote to its standard error."""
        return (self._directory / "server.log").read_text(errors="replace")

    def calls(self) -> list[tuple[str, str, str]]:
        """What the handlers of ``app.py`` were called with: call id, event type, the sender's id of the event."""
        path = Path(self._environ["CALLS_FILE"])
        if not path.exists():
            return []
        lines = path.read_text().splitlines()
        return [(call, kind, source) for call, kind, source in (line.split(" ", 2) for line in lines)]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            _kill_group(process)
        if error is not None:
            error.add_note(f"The server's log ends with:\n{self.log()[-4000:]}")

    def _take(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        process, self._process = self._process, None
        return process

    def _read_address(self, process: subprocess.Popen[bytes]) -> str:
        assert process.stdout is not None
        said = b""
        deadline = time.monotonic() + LIMIT_S
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while time.monotonic() < deadline:
                if not selector.select(LOOKS_S):
                    if process.poll() is not None:  # its leash still holds its output open
                        break
                    continue
                chunk = os.read(process.stdout.fileno(), 4096)
                said += chunk
                for line in said.decode().splitlines(keepends=True):
                    if READY in line and line.endswith("\n"):
                        address = line.split(READY, 1)[1].split()[0]
                        return address if address.startswith("http") else ""  # of a machine without gateways
                if not chunk:
                    break
        _kill_group(process)
        raise RuntimeError(f"the server did not start:\n{said.decode()}\n{self.log()[-4000:]}")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left of a server."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    _wait(process)


def _wait(process: subprocess.Popen[bytes]) -> None:
    process.wait(LIMIT_S)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def signed_event(
    event_type: str, event_id: str, data: Any = None, secret: str = WEBHOOK_SECRET
) -> dict[str, Any]:
    """An envelope for ``/webhooks/receive``, or for an endpoint with that secret: what aiohttp's ``post`` takes."""
    envelope = {"event_type": event_type, "event_id": event_id, "timestamp": "now", "data": data or {}}
    body = json.dumps(envelope).encode()
    signature = hmac.digest(secret.encode(), body, "sha256").hex()
    return {"data": body, "headers": {"X-Webhook-Signature": signature, "Content-Type": "application/json"}}


class Client:
    """Talks to a server's management API."""

    def __init__(self, server: KancaProcess) -> None:
        self.url = server.url
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT_S))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def ask(self, method: str, path: str, body: Any = None, expect: int | None = None) -> Any:
        """The JSON that a management route answers; an unexpected status is an error."""
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with self.session.request(method, self.url + path, json=body, headers=headers) as response:
            text = await response.text()
            assert response.status == expect if expect else response.ok, f"{response.status}: {text}"
            return await response.json(content_type=None)

    async def endpoint(self, **fields: Any) -> tuple[str, str]:
        """Make an endpoint; gives its whole address and its secret."""
        made = await self.ask("POST", "/api/webhooks/endpoints", fields)
        return self.url + made["endpoint_path"], made["secret_token"]

    async def events(self, **filters: str) -> list[dict[str, Any]]:
        """All events that fit, newest first."""
        found: list[dict[str, Any]] = []
        query = "&".join(f"{name}={value}" for name, value in {"limit": "100", **filters}.items())
        cursor: str | None = ""
        while cursor is not None:
            page = await self.ask("GET", f"/api/events?{query}" + (f"&cursor={cursor}" if cursor else ""))
            found += page["items"]
            cursor = page["next_cursor"]
        return found

    async def nothing_is_pending(self) -> bool:
        """Whether all work has ended."""
        return not (await self.ask("GET", "/api/events?status=pending&limit=1"))["items"]


async def eventually(condition: Callable[[], Awaitable[Any]], what: str, limit_s: float = LIMIT_S) -> Any:
    """What ``condition`` gives, once it is true. Other processes cannot signal a test, so this looks repeatedly."""
    deadline = time.monotonic() + limit_s
    while not (found := await condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come about that {what}")
        await asyncio.sleep(POLL_S)
    return found
