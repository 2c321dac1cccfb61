"""``kanca listen``: what a server receives, forwarded to an address on this machine."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from kanca.cli.forwarding import Forwarded, Forwarder, behind
from kanca.cli.http import split_url
from kanca.cli.listen_state import Listening, State, state_directory
from kanca.cli.options import Tenant
from kanca.cli.output import Output, plain
from kanca.cli.server import Server, speaks_to_server
from kanca.cli.tail import Endpoint, Filter, SinceEvent, Types, say_aside, time_of_day
from kanca.cli.tailing import Tail
from kanca.errors import InvalidInput


@speaks_to_server
def listen(
    server: Server,
    output: Output,
    *,
    forward: Annotated[str, typer.Option(metavar="URL", help="Where to send what comes in.")] = (
        "http://localhost:3000/"
    ),
    endpoint: Endpoint = None,
    types: Types = None,
    tenant: Tenant = None,
    filtered: Filter = None,
    since: SinceEvent = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where to keep how far it got. Default: a file in $XDG_STATE_HOME/kanca/listen.",
            show_default=False,
        ),
    ] = None,
    skip_failed: Annotated[
        bool, typer.Option("--skip-failed", help="Go on after a failure instead of trying again.")
    ] = False,
) -> None:
    """Forward what comes in at a server to a local address: exact body, original headers, one after the other.

    It goes on where it stopped, so that nothing is missed while it was off. Ctrl-C stops it.
    """
    split_url(forward)
    listening = Listening(server.url, endpoint, forward)
    kept = State(state or state_directory(os.environ) / listening.name, listening)
    place = kept.read() if since is None else None
    query: dict[str, object] = {
        "endpoint": endpoint,
        "event_type": types or None,
        "tenant": tenant,
        "filter": filtered,
        "source": "inbound",
        "request": "true",
        "since": since,
    }
    say_aside(f"Forwarding to {forward}, from {_beginning(place, since)} (Ctrl-C stops it).")
    forwarder = Forwarder(server, forward, say_aside, skips_failed=skip_failed)
    with suppress(KeyboardInterrupt):
        _run(Tail(server, query, place, say_aside), forwarder, kept, output)


def _run(tail: Tail, forwarder: Forwarder, kept: State, output: Output) -> None:
    try:
        for message in tail.messages():
            if message.kind == "event":
                forwarded = forwarder.forward(message.data)
                typer.echo(_as_json(forwarded) if output.as_json else _as_line(forwarded))
            elif message.kind == "gap":
                say_aside(
                    "Some events are not kept any more that came while nobody listened: they are left out."
                )
            # Not before: what stops in between is forwarded again.
            if message.place is not None:
                kept.write(message.place)
    except InvalidInput as error:
        if error.facts.get("code") != "place_unknown":
            raise
        raise InvalidInput(
            f"{error.detail} {kept.path} says where listening stopped; --since begins elsewhere.",
            **error.facts,
        ) from None


def _beginning(place: str | None, since: str | None) -> str:
    if place is not None:
        return "where it stopped"
    return "now on" if since is None else f"{since} on"


def _as_line(forwarded: Forwarded) -> str:
    status = forwarded.status or "skipped"
    late = behind(forwarded.received_at, time.time())
    shown = [
        time_of_day(forwarded.received_at),
        plain(forwarded.event_type),
        plain(forwarded.event_id),
        f"→ {status} in {forwarded.duration_ms:.0f} ms",
        *([f"({late} behind)"] if late else []),
    ]
    return "  ".join(shown)


def _as_json(forwarded: Forwarded) -> str:
    return json.dumps(
        {
            "id": forwarded.event_id,
            "event_type": forwarded.event_type,
            "received_at": forwarded.received_at,
            "status": forwarded.status,
            "duration_ms": round(forwarded.duration_ms, 1),
        }
    )
