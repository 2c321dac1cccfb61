"""``kanca run``: executions of workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.options import Cursor, Limit, given, read_file, read_json
from kanca.cli.output import Output, details, page, table, write_bytes
from kanca.cli.server import Server, speaks_to_server

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(name="run", help="Executions of workflows.", no_args_is_help=True)

RUNS = ("api", "runs")
RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="run_…")]
Node = Annotated[str, typer.Argument(metavar="NODE", help="The node at which it waits.")]
Comment = Annotated[str | None, typer.Option(help="Why, for the run.", show_default=False)]
Iteration = Annotated[
    int | None,
    typer.Option(help="In the body of a loop: the number of the item, from 1.", show_default=False),
]


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
    event: Annotated[
        str | None, typer.Option(metavar="EVENT_ID", help="Started by this event.", show_default=False)
    ] = None,
    waiting_for: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Waiting now for an event with this key.", show_default=False),
    ] = None,
    tests: Annotated[bool, typer.Option("--tests", help="Tests instead of real runs.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List the runs, the newest first."""
    answer = server.get(
        *RUNS,
        workflow_id=workflow,
        status=status,
        event_id=event,
        waiting_for=waiting_for,
        is_test="true" if tests else None,
        limit=limit,
        cursor=cursor,
    )
    output.show(
        answer, page("id", "workflow_id", "version", "status", "event_id", "started_at", "finished_at")
    )


@app.command()
@speaks_to_server
def show(server: Server, output: Output, run_id: RunId) -> None:
    """Show a run with its steps, and what it waits for."""
    output.show(server.get(*RUNS, run_id), run_picture)


@app.command()
@speaks_to_server
def draw(server: Server, _output: Output, run_id: RunId) -> None:
    """Write a Mermaid flowchart of a run to standard output: how far it came, and how."""
    write_bytes(server.get(*RUNS, run_id, "mermaid").body)


@app.command()
@speaks_to_server
def cancel(server: Server, output: Output, run_id: RunId) -> None:
    """Have a run end, and the runs that it waits for."""
    output.show(server.post(*RUNS, run_id, "cancel"), details)


@app.command()
@speaks_to_server
def retry(
    server: Server,
    output: Output,
    run_id: RunId,
    *,
    node: Annotated[
        str | None,
        typer.Option("--from", metavar="NODE", help="Do it again from this node.", show_default=False),
    ] = None,
) -> None:
    """Let a run go on that has ended: where it failed, or again from a node."""
    output.show(server.post(*RUNS, run_id, "retry", body=given(**{"from": node})), details)


@app.command()
@speaks_to_server
def replay(server: Server, output: Output, run_id: RunId) -> None:
    """Start a new run of the published version with what started this one."""
    output.show(server.post(*RUNS, run_id, "replay"), details)


@app.command()
@speaks_to_server
def approve(
    server: Server,
    output: Output,
    run_id: RunId,
    node: Node,
    *,
    comment: Comment = None,
    iteration: Iteration = None,
) -> None:
    """Approve what a run waits for at an Approval node."""
    _decide(server, output, run_id, node, decision="approve", comment=comment, iteration=iteration)


@app.command()
@speaks_to_server
def reject(
    server: Server,
    output: Output,
    run_id: RunId,
    node: Node,
    *,
    comment: Comment = None,
    iteration: Iteration = None,
) -> None:
    """Reject what a run waits for at an Approval node."""
    _decide(server, output, run_id, node, decision="reject", comment=comment, iteration=iteration)


@app.command()
@speaks_to_server
def resume(
    server: Server,
    output: Output,
    run_id: RunId,
    node: Node,
    *,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="What it goes on with, as JSON; - is standard input.", show_default=False
        ),
    ] = None,
    iteration: Iteration = None,
) -> None:
    """Let a run go on that waits at a node."""
    asked = given(iteration=iteration)
    if data is not None:
        asked["data"] = read_json(read_file(data), data)
    output.show(server.post(*RUNS, run_id, "waits", node, "resume", body=asked), details)


@app.command()
@speaks_to_server
def apply(
    server: Server,
    output: Output,
    run_id: RunId,
    node: Node,
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="evt_…")],
    *,
    iteration: Iteration = None,
) -> None:
    """Let a run go on with an event that came late, is still kept, or could have meant several runs."""
    asked = given(event_id=event_id, iteration=iteration)
    output.show(server.post(*RUNS, run_id, "waits", node, "apply", body=asked), details)


@app.command()
@speaks_to_server
def urls(server: Server, output: Output, run_id: RunId, node: Node, *, iteration: Iteration = None) -> None:
    """Show the addresses that resume a run. Whoever has one may use it."""
    output.show(server.get(*RUNS, run_id, "waits", node, "urls", iteration=iteration), details)


def _decide(server: Server, output: Output, run_id: str, node: str, **answer: Any) -> None:
    output.show(server.post(*RUNS, run_id, "waits", node, "resume", body=given(**answer)), details)


def run_picture(run: dict[str, Any]) -> RenderableType:
    """A run, its steps and what it has waited for, for people."""
    from rich.console import Group

    steps, waits = run.pop("steps"), run.pop("waits", [])
    shown: list[RenderableType] = [details(run)]
    if steps:
        columns = (
            "node_id",
            "status",
            "port",
            "attempt_number",
            "started_at",
            "finished_at",
            "output",
            "error",
        )
        shown += ["", table(steps, *columns)]
    if waits:
        columns = ("node_id", "status", "key", "opened_at", "due_at", "ended_at", "event_id", "child_run_id")
        shown += ["", table(waits, *columns, whole=("event_id", "child_run_id"))]
    return Group(*shown)
