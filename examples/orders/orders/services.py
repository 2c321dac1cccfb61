"""All that the workflow talks to, as one local stub: warehouse, label printer, carrier, and who looks at big orders.

python -m orders.services --port 9200
"""

from __future__ import annotations

import argparse
import json
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "token-of-the-warehouse"  # noqa: S105 - it guards a stub
FAILURES = 2
"""How often the warehouse is busy before it reserves something."""
GUARDED = frozenset({"/reservations", "/releases"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    path: str
    order: str
    key: str
    """Its ``Idempotency-Key``."""
    status: int
    """How it was answered."""
    body: Any


class Services(ThreadingHTTPServer):
    """Answers ``POST`` with an id, the same for the same ``Idempotency-Key``; says what it was asked."""

    daemon_threads = True

    def __init__(self, port: int, *, is_loud: bool = False) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.asked: list[Asked] = []
        self.closed: set[str] = set()
        """Paths that answer nothing but 503, for good."""
        self._is_loud = is_loud
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()

    def answer(self, path: str, key: str, token: str | None, body: Any) -> tuple[int, Any]:
        """What to answer."""
        with self._lock:
            order = str(body.get("order") or (body.get("details") or {}).get("id"))
            status, content = self._decide(path, order, key, token, body)
            self.asked.append(Asked(path, order, key, status, body))
        if self._is_loud:
            print(f"{status} {path} {json.dumps(body)}", flush=True)
        return status, content

    def of(self, order: str, path: str | None = None) -> list[Asked]:
        """What was asked for an order."""
        with self._lock:
            return [each for each in self.asked if each.order == order and path in (None, each.path)]

    def _decide(self, path: str, order: str, key: str, token: str | None, body: Any) -> tuple[int, Any]:
        if path in GUARDED and token != f"Bearer {TOKEN}":
            return 401, {"error": "who are you?"}
        if path in self.closed:
            return 503, {"error": "closed"}
        if path == "/reservations" and self._busy[order] < FAILURES:
            self._busy[order] += 1
            return 503, {"error": "busy"}
        if path == "/labels" and not body.get("email"):
            return 422, {"error": "no address"}
        return 200, {"id": f"{path[1:-1]}-{key[-8:]}"}


class _Handler(BaseHTTPRequestHandler):
    server: Services

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = self.headers
        status, content = self.server.answer(
            self.path, headers["Idempotency-Key"], headers["Authorization"], body
        )
        said = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request: ``answer`` does."""


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Warehouse, label printer and carrier.")
    parser.add_argument("--port", type=int, default=9200)
    parser.add_argument("--closed", action="append", default=[], help="a path that answers nothing but 503")
    options = parser.parse_args()
    services = Services(options.port, is_loud=True)
    services.closed.update(options.closed)
    print(f"http://127.0.0.1:{options.port}, with the token {TOKEN}", flush=True)
    try:
        services.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        services.server_close()


if __name__ == "__main__":
    main()
