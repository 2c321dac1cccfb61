"""A port of its own for metrics and probes: a machine with workers only has no other.

The supervisor serves it, so it answers whatever its children are busy with. It opens no database: what all machines
share is said by gateways, and so is whether the database is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import make_wsgi_app, start_http_server

from kanca.errors import InvalidSetting
from kanca.telemetry.exposition import registry_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Is = Callable[[], bool]


@contextmanager
def metrics_served(host: str, port: int | None, directory: str, is_live: Is, is_ready: Is) -> Iterator[None]:
    """Serve the metrics of the processes that write to ``directory`` while entered; without a port, serve nothing.

    Beside them ``/health/live`` and ``/health/ready`` answer as gateways do: 200 when it is so, else 503. Both are
    asked in another thread. Raises InvalidSetting when the address cannot be had.
    """
    if port is None:
        yield
        return
    registry = registry_of(directory)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise InvalidSetting(
            f"KANCA_METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}"
        ) from None
    server.set_app(
        _with_probes(make_wsgi_app(registry), {"/health/live": is_live, "/health/ready": is_ready})
    )
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _with_probes(metrics: WSGIApplication, probes: dict[str, Is]) -> WSGIApplication:
    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        is_so = probes.get(environ["PATH_INFO"])
        if is_so is None or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return metrics(environ, start_response)
        status, body = ("200 OK", b'{"status":"ok"}') if is_so() else _UNAVAILABLE
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body if environ["REQUEST_METHOD"] == "GET" else b""]

    return serve


_UNAVAILABLE = ("503 Service Unavailable", b'{"status":"unavailable"}')
