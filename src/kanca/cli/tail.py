"""``kanca event tail``: what comes in, a line each, while it comes in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import typer

from kanca.cli.options import Tenant
from kanca.cli.output import Output, plain
from kanca.cli.server import Server, speaks_to_server
from kanca.cli.tailing import Message, Tail

Endpoint = Annotated[
    str | None, typer.Option(metavar="ENDPOINT", help="Of this endpoint: its id or slug.", show_default=False)
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Of this type or pattern (order.*); may be repeated.", show_default=False),
]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter", metavar="CEL", help="For which this is true: event.data.total > 100.", show_default=False
    ),
]
SinceEvent = Annotated[
    str | None,
    typer.Option(
        metavar="TIME|EVENT_ID", help="Begin then, or behind that event. Default: now.", show_default=False
    ),
]


@speaks_to_server
def tail(
    server: Server,
    output: Output,
    *,
    endpoint: Endpoint = None,
    types: Types = None,
    tenant: Tenant = None,
    provider: Annotated[str | None, typer.Option(help="Of this provider.", show_default=False)] = None,
    source: Annotated[
        str | None, typer.Option(help="inbound, published or operational.", show_default=False)
    ] = None,
    filtered: Filter = None,
    status: Annotated[
        str | None,
        typer.Option(help="Only events that end so: succeeded, dead or skipped.", show_default=False),
    ] = None,
    outcomes: Annotated[bool, typer.Option(help="Show how events end.")] = True,
    rejections: Annotated[
        bool | None,
        typer.Option(
            "--rejections/--no-rejections",
            help="Show refused requests. Default: yes, unless --status is given.",
            show_default=False,
        ),
    ] = None,
    payload: Annotated[bool, typer.Option("--payload", help="Show what the body says.")] = False,
    since: SinceEvent = None,
    follow: Annotated[bool, typer.Option(help="Go on until Ctrl-C.")] = True,
) -> None:
    """Show events as they come in, on any gateway, and what becomes of them. Ctrl-C stops it."""
    shown = {"outcomes": outcomes, "rejections": status is None if rejections is None else rejections}
    query: dict[str, object] = {
        "endpoint": endpoint,
        "event_type": types or None,
        "tenant": tenant,
        "provider": provider,
        "source": source,
        "filter": filtered,
        "status": status,
        "include": [name for name, is_shown in shown.items() if is_shown] or None,
        "payload": "true" if payload else None,
        "since": since,
        "follow": None if follow else "false",
    }
    with suppress(KeyboardInterrupt):
        for message in Tail(server, query, None, say_aside).messages():
            if message.kind != "place":
                for line in [_as_json(message)] if output.as_json else lines_of(message):
                    typer.echo(line)


def say_aside(sentence: str) -> None:
    """Tell of trouble on standard error, where it does not get into what is piped."""
    typer.echo(plain(sentence), err=True)


def lines_of(message: Message) -> Iterator[str]:
    """A message for people: a line, and what the body says below it."""
    data = message.data
    match message.kind:
        case "event":
            yield "  ".join([time_of_day(data["received_at"]), *map(plain, _about(data))])
            if "payload" in data:
                yield from _body(data)
        case "outcome":
            why = data["error_message"] or data["reason"]
            shown = [f"→ {data['status']}", data["event_type"], data["id"], *([why] if why else [])]
            yield "  ".join([time_of_day(data["processed_at"]), *map(plain, shown)])
        case "rejection":
            many = f"{data['count']} times" if data["count"] > 1 else None
            shown = ["refused", data["status"], data["code"], data["webhook_id"], data["client"], many]
            yield "  ".join([time_of_day(data["occurred_at"]), *(plain(each) for each in shown if each)])
            yield f"    {plain(data['detail'])}"
        case "gap" if data["reason"] == "expired":
            yield "–  what came next is not kept any more"
        case "gap":
            yield f"–  {plain(data.get('left_out'))} ends and refusals were not shown: too much at once"
        case _:  # of a newer server
            yield plain(data)


def time_of_day(instant: str | None) -> str:
    """The time in an instant, to the second."""
    return "--:--:--" if instant is None else plain(instant[11:19])


def _about(data: dict[str, Any]) -> Iterator[object]:
    yield data["event_type"]
    yield data["id"]
    yield f"{data['endpoint_name']} ({data['provider']})" if data["webhook_id"] else data["source"]
    yield f"{data['body_bytes']} bytes"
    if data["tenant"] != "default":
        yield f"tenant {data['tenant']}"
    if data["is_test"]:
        yield "test"
    if data["replay_of"]:
        yield f"replay of {data['replay_of']}"


def _body(data: dict[str, Any]) -> Iterator[str]:
    if data["is_payload_omitted"]:
        yield "    (too large to be shown; `kanca event body` gives it)"
    elif data["payload"] is None:
        yield "    (not text; `kanca event body` gives it)"
    else:
        text = json.dumps(data["payload"], indent=2, ensure_ascii=False)
        yield from (f"    {plain(line)}" for line in text.splitlines())


def _as_json(message: Message) -> str:
    return json.dumps({"kind": message.kind, "place": message.place, **message.data})
