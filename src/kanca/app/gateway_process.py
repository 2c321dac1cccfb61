"""The process of a gateway: ``python -m kanca.app.gateway_process <name>``, started by the supervisor."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from datetime import timedelta

from kanca.api.access import AccessRule
from kanca.app.gateway import Gateway, open_gateway
from kanca.app.granian import GatewayServer
from kanca.app.installed_nodes import add_installed_nodes
from kanca.app.opening import open_own
from kanca.app.processes import CONFIGURATION_EXIT, LISTEN_FD, Stop, run_child, say_done, say_ready
from kanca.domain.loopback import is_loopback
from kanca.errors import InvalidSetting
from kanca.settings import Settings, load_settings
from kanca.telemetry import tracing
from kanca.telemetry.lag import LagMeter
from kanca.telemetry.lines import lines
from kanca.telemetry.logs import configure_logs
from kanca.telemetry.metrics import note_start
from kanca.telemetry.otel import configure_tracing
from kanca.workflows.nodes import built_in_registry

LAST_ANSWERS = timedelta(seconds=3)
"""How long answers that are ready may take to be sent."""
LAST_REQUESTS = timedelta(seconds=2)
"""How long requests are still refused, rather than let down, after the supervisor was told to let no more come."""


async def main(stop: Stop, settings: Settings, name: str) -> None:
    """Serve on the inherited socket until ``stop`` is asked for."""
    access = AccessRule(
        admin_key=settings.admin_key.get_secret_value() if settings.admin_key else None,
        is_bound_to_loopback=is_loopback(settings.host),
    )
    nodes = built_in_registry()
    add_installed_nodes(nodes)
    database = await open_own(settings)
    try:
        configure_tracing(name)
        async with open_gateway(
            settings, database, nodes, access, f"{name}-{os.getpid()}", address_of(settings)
        ) as gateway:
            lag = LagMeter("gateway")
            listen_fd = int(os.environ[LISTEN_FD])
            server = GatewayServer(gateway.asgi, listen_fd)
            closed = asyncio.Event()
            serving = asyncio.create_task(server.serve_until(closed, LAST_ANSWERS))
            lag.start()
            note_start("gateway")
            say_ready(name)
            stopping = asyncio.create_task(stop.requested.wait())
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            lag.stop()
            await leave(gateway, stop, settings)
            say_done(name)
            await gateway.leaving.wait_until_quiet(LAST_REQUESTS)
            closed.set()
            await serving
    finally:
        await asyncio.to_thread(tracing.close)
        lines.flush()
        await database.close()


def address_of(settings: Settings) -> str:
    """Where this machine's gateways listen."""
    with socket.socket(fileno=os.dup(int(os.environ[LISTEN_FD]))) as listener:
        port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


async def leave(gateway: Gateway, stop: Stop, settings: Settings) -> None:
    """Be ready to end: first nobody is sent here any more, then nothing is taken any more, then all is answered."""
    gateway.announce()
    with suppress(TimeoutError):
        async with asyncio.timeout(settings.shutdown_delay_seconds):
            await stop.hurried.wait()
    draining = asyncio.create_task(gateway.drain(timedelta(seconds=settings.shutdown_seconds)))
    hurried = asyncio.create_task(stop.hurried.wait())
    await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    if not draining.done():
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        await gateway.drain(timedelta(0))


def run() -> None:
    """The entry point of the process."""
    name = sys.argv[1]
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format, name, requests=settings.log_requests)
    try:
        run_child(name, lambda stop: main(stop, settings, name))
    except InvalidSetting as error:
        sys.stderr.write(f"{error.detail}\n")
        sys.exit(CONFIGURATION_EXIT)


if __name__ == "__main__":
    run()
