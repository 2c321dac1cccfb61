"""The real processes that a benchmark measures."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SECRET = "whsec_benchmark0123456789abcdefghij"  # noqa: S105  # signs the benchmark's own events
SECRET_KEY = "benchmark-secret-key-0123456789"  # noqa: S105  # seals the benchmark's own secrets


@dataclass(frozen=True, slots=True)
class Running:
    """A server under measurement."""

    url: str
    pid: int


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def kanca(database_url: str, directory: Path, *options: str, **environment: str) -> Iterator[Running]:
    """``kanca serve`` on a free port."""
    port = free_port()
    command = _serve("--port", str(port), "--database-url", database_url, *options)
    yield from _running(command, port, "/health/ready", directory, _environ(environment))


@contextmanager
def workers(
    database_url: str, directory: Path, count: int, *options: str, **environment: str
) -> Iterator[int]:
    """``kanca serve`` with workers alone; gives its process id. Nobody waits until they are ready."""
    command = _serve("--gateways", "0", "--workers", str(count), "--database-url", database_url, *options)
    process = subprocess.Popen(command, cwd=directory, env=_environ(environment))
    try:
        yield process.pid
    finally:
        _end(process)


@contextmanager
def bare(directory: Path) -> Iterator[Running]:
    """The bare app on the same server program, in a process set up as a gateway is."""
    port = free_port()
    yield from _running(
        [sys.executable, "-m", "bench.bare_server", str(port)], port, "/", directory, _environ({})
    )


def _serve(*options: str) -> list[str]:
    return [sys.executable, "-m", "kanca", "serve", *options]


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT))),
        "KANCA_SECRET_KEY": SECRET_KEY,
        "KANCA_LOG_LEVEL": "warning",
        **more,
    }


def _running(
    command: list[str], port: int, probe: str, directory: Path, environ: dict[str, str]
) -> Iterator[Running]:
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, cwd=directory, env=environ)
    try:
        _wait_for(url + probe, process)
        yield Running(url, process.pid)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310  # a loopback address of ours
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{url} did not answer")


def ask(
    url: str, body: Any = None, method: str | None = None, headers: Mapping[str, str] | None = None
) -> Any:
    """The JSON that a route answers."""
    request = urllib.request.Request(  # noqa: S310  # a loopback address of ours
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # see above
        return json.load(answer)


def stripe_endpoint(server: Running, **fields: Any) -> str:
    """Make a Stripe endpoint and give the address that events are sent to."""
    made = ask(f"{server.url}/api/webhooks/endpoints", {"provider": "stripe", "secret": SECRET, **fields})
    return server.url + str(made["endpoint_path"])
