"""``kanca workflow``: versioned graphs of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from kanca.cli.differences import compared
from kanca.cli.documents import read_definition_file, read_definitions
from kanca.cli.options import Cursor, Limit, given, read_file, read_json
from kanca.cli.output import Output, details, page, write_bytes
from kanca.cli.run import run_picture
from kanca.cli.server import Server, speaks_to_server
from kanca.errors import Conflict, InvalidInput

app = typer.Typer(name="workflow", help="Graphs of nodes that events run through.", no_args_is_help=True)

WorkflowId = Annotated[str, typer.Argument(metavar="WORKFLOW_ID", help="The id that its definition says.")]
File = Annotated[
    str, typer.Argument(metavar="FILE", help="The definition as JSON or YAML; - is standard input.")
]
Version = Annotated[int | None, typer.Option(help="Default: the newest.", show_default=False)]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="The data to start with, as JSON; - is standard input.", show_default=False
    ),
]
WORKFLOWS = ("api", "workflows")


@app.command("list")
@speaks_to_server
def list_workflows(server: Server, output: Output, *, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the workflows."""
    answer = server.get(*WORKFLOWS, limit=limit, cursor=cursor)
    output.show(answer, page("id", "name", "version", "published_version", "updated_at"))


@app.command()
@speaks_to_server
def show(server: Server, output: Output, workflow_id: WorkflowId, *, version: Version = None) -> None:
    """Show a workflow and its definition."""
    output.show(server.get(*WORKFLOWS, workflow_id, version=version), details)


@app.command()
@speaks_to_server
def create(server: Server, output: Output, file: File) -> None:
    """Save a new workflow. It runs once it is published."""
    output.show(server.post(*WORKFLOWS, body=read_definition_file(file)), details)


@app.command()
@speaks_to_server
def update(server: Server, output: Output, workflow_id: WorkflowId, file: File) -> None:
    """Save a new version of a workflow. Runs keep the version that they started with."""
    output.show(server.put(*WORKFLOWS, workflow_id, body=read_definition_file(file)), details)


@app.command()
@speaks_to_server
def publish(
    server: Server,
    output: Output,
    workflow_id: WorkflowId,
    *,
    version: Version = None,
) -> None:
    """Let events run through a version, the newest or another."""
    output.show(server.post(*WORKFLOWS, workflow_id, "publish", version=version), details)


@app.command()
@speaks_to_server
def unpublish(server: Server, output: Output, workflow_id: WorkflowId) -> None:
    """Start no more runs: events are accepted, and skipped."""
    output.show(server.post(*WORKFLOWS, workflow_id, "unpublish"), details)


@app.command()
@speaks_to_server
def versions(
    server: Server, output: Output, workflow_id: WorkflowId, *, limit: Limit = 50, cursor: Cursor = None
) -> None:
    """List the versions of a workflow, the newest first."""
    columns = ("version", "is_published", "is_draft", "node_count", "created_at", "published_at")
    output.show(server.get(*WORKFLOWS, workflow_id, "versions", limit=limit, cursor=cursor), page(*columns))


@app.command()
@speaks_to_server
def diff(
    server: Server,
    output: Output,
    workflow_id: WorkflowId,
    *,
    old: Annotated[
        int | None, typer.Option("--from", help="Default: the published one.", show_default=False)
    ] = None,
    new: Annotated[int | None, typer.Option("--to", help="Default: the newest.", show_default=False)] = None,
) -> None:
    """Show what makes one version another."""
    output.show(server.get(*WORKFLOWS, workflow_id, "diff", **{"from": old, "to": new}), compared)


@app.command()
@speaks_to_server
def rollback(
    server: Server,
    output: Output,
    workflow_id: WorkflowId,
    *,
    version: Annotated[
        int | None,
        typer.Option(help="Default: the one that was published before.", show_default=False),
    ] = None,
) -> None:
    """Publish an older version again."""
    output.show(server.post(*WORKFLOWS, workflow_id, "rollback", body=given(version=version)), details)


@app.command()
@speaks_to_server
def pause(server: Server, output: Output, workflow_id: WorkflowId) -> None:
    """Let no run begin or go on. Events are accepted and stored."""
    output.show(server.post(*WORKFLOWS, workflow_id, "pause"), details)


@app.command()
@speaks_to_server
def resume(server: Server, output: Output, workflow_id: WorkflowId) -> None:
    """Let its runs go on."""
    output.show(server.post(*WORKFLOWS, workflow_id, "resume"), details)


@app.command()
@speaks_to_server
def export(
    server: Server,
    _output: Output,
    workflow_id: WorkflowId,
    *,
    format: Annotated[str, typer.Option(help="json or yaml.")] = "json",
    version: Version = None,
) -> None:
    """Write a definition to standard output, as a file to keep."""
    write_bytes(server.get(*WORKFLOWS, workflow_id, "export", format=format, version=version).body)


@app.command("import")
@speaks_to_server
def import_file(server: Server, output: Output, file: File) -> None:
    """Save every definition of a file: as a new workflow, or as a new version. Nothing is published."""
    for definition in read_definitions(file):
        try:
            answer = server.post(*WORKFLOWS, body=definition)
        except Conflict as error:
            if error.facts.get("code") != "workflow_exists":
                raise
            answer = server.put(*WORKFLOWS, str(definition["id"]), body=definition)
        output.show(answer, details)


@app.command()
@speaks_to_server
def draw(server: Server, _output: Output, workflow_id: WorkflowId, *, version: Version = None) -> None:
    """Write a Mermaid flowchart of a workflow to standard output."""
    write_bytes(server.get(*WORKFLOWS, workflow_id, "mermaid", version=version).body)


@app.command()
@speaks_to_server
def delete(server: Server, output: Output, workflow_id: WorkflowId) -> None:
    """Delete a workflow that no endpoint uses."""
    output.show(server.delete(*WORKFLOWS, workflow_id), lambda done: str(done["message"]))


@app.command()
@speaks_to_server
def run(
    server: Server,
    output: Output,
    workflow_id: WorkflowId,
    *,
    data: Data = None,
    node: Annotated[
        str | None,
        typer.Option(help="The WebhookTrigger node to start at, if it has several.", show_default=False),
    ] = None,
) -> None:
    """Start a run by hand."""
    asked = given(node_id=node) | _with_data(data)
    output.show(server.post(*WORKFLOWS, workflow_id, "runs", body=asked), details)


@app.command("test")
@speaks_to_server
def try_out(
    server: Server,
    output: Output,
    workflow_id: WorkflowId,
    *,
    data: Data = None,
    event: Annotated[
        str | None,
        typer.Option(metavar="EVENT_ID", help="A stored event to start with.", show_default=False),
    ] = None,
    node: Annotated[
        str | None, typer.Option(help="The trigger to start at, if it has several.", show_default=False)
    ] = None,
    version: Version = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            metavar="NODE=FILE",
            help="What a node is left with, as JSON in a file; repeatable.",
            show_default=False,
        ),
    ] = None,
    live: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE",
            help="Run this node all the same, effects and all; repeatable.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Run a version without effects, and show what became of it."""
    asked = given(event_id=event, node_id=node, version=version, live=live) | _with_data(data)
    asked |= given(outputs={name: read_json(read_file(file), file) for name, file in _pairs(outputs or [])})
    output.show(server.post(*WORKFLOWS, workflow_id, "test", body=asked), run_picture)


def _with_data(file: str | None) -> dict[str, Any]:
    return {} if file is None else {"data": read_json(read_file(file), file)}


def _pairs(texts: list[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, separator, file = text.partition("=")
        if not (name and separator and file):
            raise InvalidInput(f"Write it as NODE=FILE, not {text!r}.")
        yield name, file
