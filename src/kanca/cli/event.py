"""``kanca event``: what came in."""

from __future__ import annotations

from typing import Annotated

import typer

from kanca.cli.options import Cursor, Endpoint, EventType, Limit, Since, Until, Yes, confirm
from kanca.cli.output import Output, details, page, write_bytes
from kanca.cli.server import Server, speaks_to_server
from kanca.cli.tail import tail

app = typer.Typer(name="event", help="What came in, and what became of it.", no_args_is_help=True)

EventId = Annotated[str, typer.Argument(metavar="EVENT_ID", help="evt_…")]
EVENTS = ("api", "events")

app.command()(tail)


@app.command("list")
@speaks_to_server
def list_events(
    server: Server,
    output: Output,
    *,
    event_type: EventType = None,
    endpoint: Endpoint = None,
    status: Annotated[
        str | None, typer.Option(help="pending, succeeded, dead or skipped.", show_default=False)
    ] = None,
    correlation_id: Annotated[
        str | None, typer.Option(help="With this correlation id.", show_default=False)
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(
            metavar="PATH:VALUE",
            help="With this value at an indexed path, such as data.customer.id:42.",
            show_default=False,
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List the events, the newest first."""
    answer = server.get(
        *EVENTS,
        event_type=event_type,
        webhook_id=endpoint,
        status=status,
        correlation_id=correlation_id,
        field=field,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    columns = ("id", "event_type", "status", "reason", "received_at", "webhook_id", "error_message")
    output.show(answer, page(*columns))


@app.command()
@speaks_to_server
def show(server: Server, output: Output, event_id: EventId) -> None:
    """Show an event, and what became of it."""
    output.show(server.get(*EVENTS, event_id), details)


@app.command()
@speaks_to_server
def body(server: Server, _output: Output, event_id: EventId) -> None:
    """Write the exact bytes that came in to standard output."""
    write_bytes(server.get(*EVENTS, event_id, "body").body)


@app.command()
@speaks_to_server
def replay(server: Server, output: Output, event_id: EventId) -> None:
    """Make new work from a stored event: a new event with the same bytes."""
    output.show(server.post(*EVENTS, event_id, "replay"), details)


@app.command()
@speaks_to_server
def expunge(
    server: Server,
    output: Output,
    event_id: EventId,
    *,
    yes: Yes = False,
) -> None:
    """Take away what an event said, with every copy; that it was there stays."""
    confirm(f"Take the payload of {event_id} away for ever?", is_agreed=yes)
    output.show(server.post(*EVENTS, event_id, "expunge"), details)


@app.command()
@speaks_to_server
def early(
    server: Server,
    output: Output,
    *,
    workflow: Annotated[
        str | None, typer.Option(metavar="WORKFLOW_ID", help="For this workflow.", show_default=False)
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List the events that are kept for runs which do not wait for them yet."""
    answer = server.get("api", "early-events", workflow_id=workflow, limit=limit, cursor=cursor)
    output.show(answer, page("event_id", "workflow_id", "node_id", "key", "received_at", "expires_at"))
