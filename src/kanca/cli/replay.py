"""``kanca replay``: deliveries made from stored events, many at a time."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from kanca.cli.http import Answer
from kanca.cli.options import Cursor, Limit, Until, given
from kanca.cli.output import Output, console, details, page
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="replay", help="Deliveries from stored events.", no_args_is_help=True)

REPLAYS = ("api", "replays")
SUBSCRIPTIONS = ("webhooks", "subscriptions")
OVER = {"finished", "cancelled"}
LOOK_AGAIN_S = 0.5
ReplayId = Annotated[str, typer.Argument(metavar="REPLAY_ID", help="rpl_…")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is over, and show how far it has come.")]


@app.command()
@speaks_to_server
def start(
    server: Server,
    output: Output,
    *,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Of events from then on: 2026-03-01T12:00:00Z.")
    ],
    until: Until = None,
    subscription: Annotated[
        str | None, typer.Option(metavar="SUBSCRIPTION_ID", help="To this one only.", show_default=False)
    ] = None,
    tenant: Annotated[
        str | None,
        typer.Option(help="Of events with this label; without --subscription.", show_default=False),
    ] = None,
    only: Annotated[
        str,
        typer.Option(
            help="failed (dead ones), missing (never made, or skipped) or all (delivered ones too)."
        ),
    ] = "failed",
    event_type: Annotated[
        list[str] | None,
        typer.Option("--type", help="Of this event type or wildcard; may be repeated.", show_default=False),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", help="At most so many a second.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
    wait: Wait = False,
) -> None:
    """Make deliveries again, or for the first time, from stored events."""
    asked = given(
        since=since,
        until=until,
        tenant=tenant,
        only=only,
        event_types=event_type,
        rate_per_second=rate,
        dry_run=dry_run or None,
    )
    where = ("api", "deliveries") if subscription is None else (*SUBSCRIPTIONS, subscription)
    answer = server.post(*where, "replay", body=asked)
    if wait and not dry_run:
        answer = _followed(server, answer)
    output.show(answer, details)


@app.command("list")
@speaks_to_server
def list_replays(server: Server, output: Output, *, limit: Limit = 50, cursor: Cursor = None) -> None:
    """List the replays, the newest first."""
    answer = server.get(*REPLAYS, limit=limit, cursor=cursor)
    output.show(
        answer,
        page("id", "subscription_id", "only", "status", "queued", "total", "since", "until", "created_at"),
    )


@app.command()
@speaks_to_server
def show(server: Server, output: Output, replay_id: ReplayId, *, wait: Wait = False) -> None:
    """Show a replay: how far it has come."""
    answer = server.get(*REPLAYS, replay_id)
    output.show(_followed(server, answer) if wait else answer, details)


@app.command()
@speaks_to_server
def cancel(server: Server, output: Output, replay_id: ReplayId) -> None:
    """End a replay; the deliveries that it has queued are made all the same."""
    output.show(server.post(*REPLAYS, replay_id, "cancel"), details)


def _followed(server: Server, answer: Answer) -> Answer:
    """What the server says of a replay once it is over; until then a bar on a terminal shows how far it is."""
    from rich.progress import Progress

    replay: dict[str, Any] = answer.data
    with Progress(console=console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("Queueing", total=replay["total"])
        while replay["status"] not in OVER:
            time.sleep(LOOK_AGAIN_S)
            answer = server.get(*REPLAYS, replay["id"])
            replay = answer.data
            progress.update(bar, completed=replay["queued"], total=max(replay["total"], replay["queued"]))
    return answer
