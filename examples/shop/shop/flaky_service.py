"""The back office as a local stub: it is busy every so often, hangs up every so often, and never does a thing twice.

python -m shop.flaky_service --port 9100 --busy 0.3 --hang-up 0.1
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Mood = Literal["works", "busy", "hangs up", "refuses"]


def moods(busy: float, hang_up: float, chance: Callable[[], float] = random.random) -> Iterator[Mood]:
    """How the service answers one request after the other, by chance."""
    while True:
        dice = chance()
        yield "busy" if dice < busy else "hangs up" if dice < busy + hang_up else "works"


class FlakyService(ThreadingHTTPServer):
    """Answers every ``POST`` with a number; the same ``Idempotency-Key`` gets the same number again."""

    daemon_threads = True

    def __init__(self, port: int, moods: Iterator[Mood]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self._moods = moods
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.done: dict[str, dict[str, Any]] = {}
        """What was done, by ``Idempotency-Key``."""

    def next_mood(self) -> Mood:
        """How the next request is answered."""
        with self._lock:
            return next(self._moods)

    def do(self, key: str, path: str, body: Any) -> dict[str, Any]:
        """Do it, unless it was done."""
        with self._lock:
            if key not in self.done:
                self.done[key] = {"number": next(self._numbers), "path": path, "body": body}
            return self.done[key]


class _Handler(BaseHTTPRequestHandler):
    server: FlakyService

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        match self.server.next_mood():
            case "hangs up":
                self.close_connection = True
            case "busy":
                self._answer(503, {"error": "busy"}, {"Retry-After": "1"})
            case "refuses":
                self._answer(409, {"error": "sold out"})
            case _:
                done = self.server.do(self.headers["Idempotency-Key"], self.path, body)
                self._answer(200, {"number": done["number"]})

    def _answer(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A back office that fails every so often.")
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--busy", type=float, default=0.3, help="part of the requests that are answered 503")
    parser.add_argument(
        "--hang-up", type=float, default=0.1, help="part of the requests that are not answered"
    )
    arguments = parser.parse_args()
    with FlakyService(arguments.port, moods(arguments.busy, arguments.hang_up)) as service:
        print(f"The back office listens on http://127.0.0.1:{service.server_port}")
        try:
            service.serve_forever()
        except KeyboardInterrupt:
            print(f"It did {len(service.done)} things.")


if __name__ == "__main__":
    main()
