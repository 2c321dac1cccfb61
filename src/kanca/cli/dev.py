"""``kanca dev``: a server on this machine with something to try."""

from __future__ import annotations

import shlex
import shutil
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from kanca.cli.sample import Sample, ensure_sample
from kanca.cli.serve import App, start_line
from kanca.cli.server import Server
from kanca.errors import KancaError

DEFAULT_ADDRESS = "http://127.0.0.1:8000"
DATA = '{"event_type": "test.event", "data": {"message": "hello"}}'


def dev(
    *,
    app: App = None,
    port: Annotated[
        int | None, typer.Option(help="The port to listen on. Default: 8000.", show_default=False)
    ] = None,
) -> None:
    """Serve on this machine, with a sample to try."""
    import asyncio

    from kanca.app.serving import serve as serve_until_stopped
    from kanca.settings import load_settings
    from kanca.telemetry.logs import configure_logs

    settings = load_settings(host="127.0.0.1", port=port, gateways=1, app=app)
    key = settings.admin_key.get_secret_value() if settings.admin_key else None
    configure_logs(settings.log_level, settings.log_format, "supervisor")
    typer.echo(start_line(settings))

    def on_ready(address: str) -> None:
        # Asks the API, in a thread of its own: the supervisor must go on hearing signals.
        threading.Thread(target=_welcome, args=(Server(address, key),), daemon=True).start()

    raise typer.Exit(asyncio.run(serve_until_stopped(settings, on_ready)))


def _welcome(server: Server) -> None:
    try:
        typer.echo(what_to_try(server.url, ensure_sample(server), own_command()))
    except KancaError as error:
        typer.echo(f"Kanca is ready: {server.url}\nThe sample could not be made: {error.detail}", err=True)


def what_to_try(address: str, sample: Sample, command: str) -> str:
    """What `dev` says once it is ready. Every line of it can be copied and run as it stands."""
    there = "" if address == DEFAULT_ADDRESS else f" --url {address}"
    return f"""
Kanca is ready: {address}

Send a webhook:
  curl {address}{sample.path} -H 'Authorization: Bearer {sample.token}' -H 'Content-Type: application/json' -d '{DATA}'

Be Stripe:
  {command} send stripe --to {address}{sample.stripe_path} --secret {sample.stripe_secret}

See what came, and what became of it:
  {command} event list{there}
  {command} run list{there}

The API is described at {address}/openapi.json, everything else in docs/. Ctrl-C stops.
"""


def own_command() -> str:
    """How this command was called, in a form that works when it is typed again here."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m kanca"
    found = shutil.which(called.name)
    if found and Path(found).samefile(called):
        return called.name
    return shlex.quote(str(called))
