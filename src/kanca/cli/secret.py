"""``kanca secret``: the key that stored secrets are encrypted with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from kanca.cli.output import Output, details, progress
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="secret", help="The key that stored secrets are encrypted with.", no_args_is_help=True)

AT_ONCE = 100
"""Secrets that one request encrypts: so few that nobody else waits for it."""
COUNTED = ("reencrypted", "current", "older", "unreadable")
LISTED = ("unreadable_endpoints", "unreadable_credentials", "unreadable_subscriptions")


@app.callback()
def noun() -> None:
    """Keep the command a noun with verbs, although there is one verb."""


@app.command()
@speaks_to_server
def rotate(
    server: Server,
    output: Output,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Change nothing; only count what is under which key.")
    ] = False,
) -> None:
    """Encrypt all stored secrets with the first key; then the older keys can go.

    It may be interrupted and run again at any time. The exit code is 1 when secrets are left that are not under the
    first key: no key opens them, or they changed at that moment.
    """
    total: dict[str, Any] = {"is_dry_run": dry_run, **dict.fromkeys(COUNTED, 0)}
    total |= {name: list[str]() for name in LISTED}
    for part in _parts(server, is_dry_run=dry_run):
        for name in (*COUNTED, *LISTED):
            total[name] += part[name]
    output.show_data(total, details)
    if total["unreadable"] or (total["older"] and not dry_run):
        raise typer.Exit(1)


def _parts(server: Server, *, is_dry_run: bool) -> Iterator[dict[str, Any]]:
    """What the server says of each portion."""

    def ask(cursor: str | None) -> dict[str, Any]:
        asked = {"cursor": cursor, "limit": AT_ONCE, "dry_run": is_dry_run}
        return dict(server.post("api", "secrets", "rotate", body=asked).data)

    part = ask(None)
    yield part
    for _ in progress(range(0, part["remaining"], AT_ONCE), "Looking" if is_dry_run else "Encrypting"):
        if part["next_cursor"] is None:
            return
        yield (part := ask(part["next_cursor"]))
    while part["next_cursor"] is not None:  # more came meanwhile
        yield (part := ask(part["next_cursor"]))
