"""The commands as a user calls them, and a server with scripted answers to call."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kanca.cli.main import app

Kanca = Callable[..., Result]


@dataclass(frozen=True)
class Received:
    """A request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class ScriptedServer:
    """Answers every request with the next of its answers, the last one for ever."""

    url: str = ""
    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(200, b"{}")])
    received: list[Received] = field(default_factory=list)

    def will_answer(self, *answers: tuple[int, Any]) -> None:
        """Script the answers: status, and a body as bytes or as what JSON is made of."""
        self.answers = [
            (status, body if isinstance(body, bytes) else json.dumps(body).encode())
            for status, body in answers
        ]

    def next_answer(self) -> tuple[int, bytes]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            scripted.received.append(Received(self.command, self.path, dict(self.headers), body))
            status, answer = scripted.next_answer()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server names them so

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        scripted.url = f"http://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        yield scripted
        listener.shutdown()
        thread.join()


@pytest.fixture
def kanca(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Kanca:
    """Calls a command in an empty directory, without settings: ``kanca("endpoint", "list", "--json")``."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str, input: bytes | str | None = None, **environ: str) -> Result:
        return CliRunner().invoke(app, list(words), input=input, env=environ, prog_name="kanca")

    return call
