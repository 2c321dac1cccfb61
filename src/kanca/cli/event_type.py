"""``kanca event-type``: the catalogue of what may be published."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kanca.cli.options import Cursor, Limit, given, read_file, read_json
from kanca.cli.output import Output, details, page
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="event-type", help="The catalogue of what may be published.", no_args_is_help=True)

EVENT_TYPES = ("api", "event-types")
Name = Annotated[str, typer.Argument(metavar="TYPE", help="The event type, such as order.created.")]


@app.command("list")
@speaks_to_server
def list_event_types(server: Server, output: Output, *, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the event types of the catalogue."""
    answer = server.get(*EVENT_TYPES, limit=limit, cursor=cursor)
    output.show(answer, page("name", "description", "enforced", "updated_at"))


@app.command()
@speaks_to_server
def show(server: Server, output: Output, name: Name) -> None:
    """Show what an event type means."""
    output.show(server.get(*EVENT_TYPES, name), details)


@app.command("set")
@speaks_to_server
def set_event_type(
    server: Server,
    output: Output,
    name: Name,
    *,
    description: Annotated[str | None, typer.Option(help="For people.", show_default=False)] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What the data look like: a JSON Schema (2020-12); - is standard input.",
            show_default=False,
        ),
    ] = None,
    example: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Data of such an event, as JSON; - is standard input.", show_default=False
        ),
    ] = None,
    enforced: Annotated[
        bool, typer.Option("--enforced", help="Refuse to publish data that do not fit the schema.")
    ] = False,
) -> None:
    """Store an event type, in the place of the one that had its name."""
    body: dict[str, Any] = given(description=description) | {"enforced": enforced}
    for key, file in (("schema", schema), ("example", example)):
        if file is not None:
            body[key] = read_json(read_file(file), file)
    output.show(server.put(*EVENT_TYPES, name, body=body), details)


@app.command()
@speaks_to_server
def delete(server: Server, output: Output, name: Name) -> None:
    """Delete an event type from the catalogue; events of the type stay."""
    output.show(server.delete(*EVENT_TYPES, name), lambda done: str(done["message"]))
