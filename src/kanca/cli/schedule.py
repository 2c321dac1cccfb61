"""``kanca schedule``: runs that the clock starts."""

from __future__ import annotations

from typing import Annotated

import typer

from kanca.cli.options import Cursor, Limit
from kanca.cli.output import Output, page
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="schedule", help="When workflows start runs by the clock.", no_args_is_help=True)


@app.callback()
def noun() -> None:
    """Keep the command a noun with verbs, although there is one verb."""


@app.command("list")
@speaks_to_server
def list_schedules(
    server: Server,
    output: Output,
    *,
    workflow: Annotated[
        str | None, typer.Option(metavar="WORKFLOW_ID", help="Of this workflow.", show_default=False)
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List the schedules of published workflows."""
    answer = server.get("api", "schedules", workflow_id=workflow, limit=limit, cursor=cursor)
    columns = ("workflow_id", "node_id", "cron", "timezone", "missed", "next_at", "last_at")
    output.show(answer, page(*columns))
