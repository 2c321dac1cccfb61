"""``kanca run``: executions of workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.options import Cursor, Limit
from kanca.cli.output import Output, details, page, table, write_bytes
from kanca.cli.server import Server, speaks_to_server

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(name="run", help="Executions of workflows.", no_args_is_help=True)

RUNS = ("api", "runs")


@app.command("list")
@speaks_to_server
def list_runs(
    server: Server,
    output: Output,
    *,
    workflow: Annotated[
        str | None, typer.Option(metavar="WORKFLOW_ID", help="Of this workflow.", show_default=False)
    ] = None,
    status: Annotated[
        str | None,
        typer.Option(help="pending, running, waiting, succeeded, failed or cancelled.", show_default=False),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List the runs, the newest first."""
    answer = server.get(*RUNS, workflow_id=workflow, status=status, limit=limit, cursor=cursor)
    output.show(
        answer, page("id", "workflow_id", "version", "status", "event_id", "started_at", "finished_at")
    )


@app.command()
@speaks_to_server
def show(
    server: Server, output: Output, run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="run_…")]
) -> None:
    """Show a run with its steps."""
    output.show(server.get(*RUNS, run_id), _run_with_steps)


@app.command()
@speaks_to_server
def draw(
    server: Server, _output: Output, run_id: Annotated[str, typer.Argument(metavar="RUN_ID", help="run_…")]
) -> None:
    """Write a Mermaid flowchart of a run to standard output: how far it came, and how."""
    write_bytes(server.get(*RUNS, run_id, "mermaid").body)


def _run_with_steps(run: dict[str, Any]) -> RenderableType:
    from rich.console import Group

    steps = run.pop("steps")
    columns = ("node_id", "status", "port", "attempt_number", "started_at", "finished_at", "output", "error")
    return Group(details(run), "", table(steps, *columns)) if steps else details(run)
