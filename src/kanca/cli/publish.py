"""``kanca publish``: an event to all who subscribe to it."""

from __future__ import annotations

from typing import Annotated

import typer

from kanca.cli.options import STDIN, read_file
from kanca.cli.output import Output, details
from kanca.cli.server import Server, speaks_to_server


@speaks_to_server
def publish(
    server: Server,
    output: Output,
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="The event type, such as order.created.")],
    *,
    data: Annotated[
        str, typer.Option(metavar="JSON", help="What the event says; @FILE reads a file, @- standard input.")
    ] = "{}",
    event_id: Annotated[
        str | None, typer.Option(help="Your own id: publishing it again changes nothing.", show_default=False)
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="For subscriptions with this label.", show_default=False)
    ] = None,
    correlation_id: Annotated[
        str | None, typer.Option(help="What it belongs to.", show_default=False)
    ] = None,
) -> None:
    """Publish an event. It is sent to the active subscriptions that want it, and handlers get it."""
    answer = server.post(
        "events",
        "trigger",
        body=payload_of(data),
        event_type=event_type,
        event_id=event_id,
        tenant=tenant,
        correlation_id=correlation_id,
    )
    output.show(answer, details)


def payload_of(data: str) -> bytes:
    """The bytes of a payload: the text itself, or the file that it names. Raises InvalidInput."""
    if not data.startswith("@"):
        return data.encode("utf-8", "surrogateescape")
    return read_file(data[1:] or STDIN)
