"""``kanca delivery``: what is sent, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.options import Cursor, EventType, Limit, Since, Until
from kanca.cli.output import Output, details, page, table
from kanca.cli.server import Server, speaks_to_server

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(name="delivery", help="What is sent to subscriptions.", no_args_is_help=True)

DELIVERIES = ("api", "deliveries")
DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY_ID", help="dlv_…")]


@app.command("list")
@speaks_to_server
def list_deliveries(
    server: Server,
    output: Output,
    *,
    subscription: Annotated[
        str | None, typer.Option(metavar="SUBSCRIPTION_ID", help="For this subscription.", show_default=False)
    ] = None,
    event: Annotated[
        str | None, typer.Option(metavar="EVENT_ID", help="Of this event.", show_default=False)
    ] = None,
    event_type: EventType = None,
    status: Annotated[
        str | None,
        typer.Option(help="pending, retrying, delivered, dead or skipped.", show_default=False),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List the deliveries, those of the newest events first."""
    answer = server.get(
        *DELIVERIES,
        subscription_id=subscription,
        event_id=event,
        event_type=event_type,
        status=status,
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )
    columns = ("id", "subscription_id", "event_type", "status", "attempt_count", "response_status")
    output.show(answer, page(*columns, "reason", "finished_at", "next_attempt_at"))


@app.command()
@speaks_to_server
def show(server: Server, output: Output, delivery_id: DeliveryId) -> None:
    """Show a delivery with its attempts."""
    output.show(server.get(*DELIVERIES, delivery_id), _picture)


@app.command()
@speaks_to_server
def resend(server: Server, output: Output, delivery_id: DeliveryId) -> None:
    """Make a delivery that has ended once more, whatever became of it."""
    output.show(server.post(*DELIVERIES, delivery_id, "resend"), details)


def _picture(delivery: dict[str, Any]) -> RenderableType:
    """A delivery and its attempts, for people."""
    from rich.console import Group

    attempts = delivery.pop("attempts")
    shown: list[RenderableType] = [details(delivery)]
    if attempts:
        rows = [attempt | {"total_ms": attempt["timing"].get("total_ms")} for attempt in attempts]
        columns = ("number", "started_at", "status", "code", "message", "total_ms", "address", "body")
        shown += ["", table(rows, *columns)]
    return Group(*shown)
