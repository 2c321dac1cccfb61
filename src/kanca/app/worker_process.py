"""The process of a worker: ``python -m kanca.app.worker_process <name>``, started by the supervisor."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback

from kanca.app.hooks import Kanca
from kanca.app.installed_nodes import add_installed_nodes
from kanca.app.loading import load_app
from kanca.app.opening import open_own
from kanca.app.processes import CONFIGURATION_EXIT, Stop, predecessor, run_child, say_ready
from kanca.app.working import open_worker
from kanca.errors import InvalidInput
from kanca.settings import Settings, load_settings
from kanca.telemetry import tracing
from kanca.telemetry.lag import LagMeter
from kanca.telemetry.lines import lines
from kanca.telemetry.logs import configure_logs
from kanca.telemetry.metrics import note_start
from kanca.telemetry.otel import configure_tracing


async def main(stop: Stop, settings: Settings, hooks: Kanca, name: str) -> None:
    """Work until ``stop`` is asked for."""
    database = await open_own(settings)
    try:
        configure_tracing(name)
        async with open_worker(hooks, settings, database, predecessor()) as worker:
            note_start("worker")
            LagMeter("worker").start()
            await worker.run(stop, on_ready=lambda: say_ready(name, worker.number))
    finally:
        await asyncio.to_thread(tracing.close)
        lines.flush()
        await database.close()


async def _main_to_the_end(stop: Stop, settings: Settings, hooks: Kanca, name: str) -> None:
    """End the process with ``main``: what the app's threads are still at must not keep it."""
    exit_code = 0
    try:
        await main(stop, settings, hooks, name)
    except InvalidInput as error:
        sys.stderr.write(f"{error.detail}\n")
        exit_code = CONFIGURATION_EXIT
    except BaseException:  # noqa: BLE001 - the process ends with it
        traceback.print_exc()
        exit_code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def run() -> None:
    """The entry point of the process."""
    name = sys.argv[1]
    try:
        settings = load_settings()
        configure_logs(settings.log_level, settings.log_format, name, requests=settings.log_requests)
        hooks = load_app(settings.app)
        add_installed_nodes(hooks.nodes)
    except InvalidInput as error:
        sys.stderr.write(f"{error.detail}\n")
        sys.exit(CONFIGURATION_EXIT)
    except Exception:  # noqa: BLE001 - whatever the app's own modules raise
        traceback.print_exc()
        sys.exit(CONFIGURATION_EXIT)
    run_child(name, lambda stop: _main_to_the_end(stop, settings, hooks, name))


if __name__ == "__main__":
    run()
