"""A port of its own for metrics: a machine with workers only has no other.

The supervisor serves it, so it answers whatever its children are busy with. It opens no database: what all machines
share is said by gateways.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server

from kanca.errors import InvalidSetting
from kanca.telemetry.exposition import registry_of


@contextmanager
def metrics_served(host: str, port: int | None, directory: str) -> Iterator[None]:
    """Serve the metrics of the processes that write to ``directory`` while entered; without a port, serve nothing.

    Raises InvalidSetting when the address cannot be had.
    """
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, host, registry_of(directory))
    except OSError as error:
        raise InvalidSetting(
            f"KANCA_METRICS_PORT: cannot listen on {host}:{port}: {error.strerror}"
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
