"""The process of a gateway: ``python -m kanca.app.gateway_process <name>``, started by the supervisor."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta

from kanca.api.access import AccessRule
from kanca.app.gateway import open_gateway
from kanca.app.granian import GatewayServer
from kanca.app.installed_nodes import add_installed_nodes
from kanca.app.processes import CONFIGURATION_EXIT, LISTEN_FD, Stop, run_child, say_ready
from kanca.domain.loopback import is_loopback
from kanca.errors import InvalidSetting
from kanca.settings import Settings, load_settings
from kanca.storage.dialects import open_database
from kanca.telemetry import tracing
from kanca.telemetry.lag import LagMeter
from kanca.telemetry.lines import lines
from kanca.telemetry.logs import configure_logs
from kanca.telemetry.metrics import note_start
from kanca.telemetry.otel import configure_tracing
from kanca.workflows.nodes import built_in_registry

LAST_ANSWERS = timedelta(seconds=3)
"""How long answers that are ready may take to be sent."""


async def main(stop: Stop, settings: Settings, name: str) -> None:
    """Serve on the inherited socket until ``stop`` is asked for."""
    access = AccessRule(
        admin_key=settings.admin_key.get_secret_value() if settings.admin_key else None,
        is_bound_to_loopback=is_loopback(settings.host),
    )
    nodes = built_in_registry()
    add_installed_nodes(nodes)
    database = await open_database(settings.database_url)
    try:
        configure_tracing(name)
        async with open_gateway(settings, database, nodes, access, f"{name}-{os.getpid()}") as gateway:
            lag = LagMeter("gateway")
            server = GatewayServer(gateway.asgi, int(os.environ[LISTEN_FD]))
            closed = asyncio.Event()
            serving = asyncio.create_task(server.serve_until(closed, LAST_ANSWERS))
            lag.start()
            note_start("gateway")
            say_ready(name)
            stopping = asyncio.create_task(stop.requested.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            limit = 0.0 if stop.hurried.is_set() else settings.shutdown_seconds
            lag.stop()
            await gateway.drain(timedelta(seconds=limit))
            closed.set()
            await serving
    finally:
        await asyncio.to_thread(tracing.close)
        lines.flush()
        await database.close()


def run() -> None:
    """The entry point of the process."""
    name = sys.argv[1]
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format, name, requests=settings.log_requests)
    try:
        run_child(lambda stop: main(stop, settings, name))
    except InvalidSetting as error:
        sys.stderr.write(f"{error.detail}\n")
        sys.exit(CONFIGURATION_EXIT)


if __name__ == "__main__":
    run()
