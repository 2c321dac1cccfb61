"""The process of a worker: ``python -m kanca.app.worker_process <name>``, started by the supervisor."""

from __future__ import annotations

import os
import sys
import traceback

from kanca.app.hooks import Kanca
from kanca.app.loading import load_app
from kanca.app.processes import CONFIGURATION_EXIT, Stop, run_child, say_ready
from kanca.app.working import open_worker
from kanca.errors import InvalidInput
from kanca.settings import Settings, load_settings
from kanca.storage.dialects import open_database
from kanca.telemetry.logs import configure_logs


async def main(stop: Stop, settings: Settings, hooks: Kanca, name: str) -> None:
    """Work until ``stop`` is asked for."""
    database = await open_database(settings.database_url)
    try:
        async with open_worker(hooks, settings, database) as worker:
            await worker.run(stop, on_ready=lambda: say_ready(name))
    finally:
        await database.close()


def run() -> None:
    """The entry point of the process."""
    name = sys.argv[1]
    try:
        settings = load_settings()
        configure_logs(settings.log_level, settings.log_format, name)
        hooks = load_app(settings.app)
    except InvalidInput as error:
        sys.stderr.write(f"{error.detail}\n")
        sys.exit(CONFIGURATION_EXIT)
    except Exception:  # noqa: BLE001 - whatever the app's own modules raise
        traceback.print_exc()
        sys.exit(CONFIGURATION_EXIT)
    run_child(lambda stop: main(stop, settings, hooks, name))
    # A handler's thread that never returns must not keep the process.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    run()
