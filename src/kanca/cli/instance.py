"""``kanca instance``: the gateways and workers that run."""

from __future__ import annotations

import typer

from kanca.cli.output import Output, page
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="instance", help="Gateways and workers.", no_args_is_help=True)


@app.callback()
def noun() -> None:
    """Keep the command a noun with verbs, although there is one verb."""


@app.command("list")
@speaks_to_server
def list_instances(server: Server, output: Output) -> None:
    """List the gateways and workers of all machines."""
    answer = server.get("api", "instances")
    columns = ("kind", "id", "hostname", "pid", "address", "app", "version", "state", "is_alive", "active")
    output.show(answer, page(*columns))
