"""``kanca secret``: the key that stored secrets are encrypted with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from kanca.cli.migrate import DatabaseUrl
from kanca.cli.output import Output, details, plain, progress
from kanca.cli.server import AsJson, Server, speaks_to_server
from kanca.errors import InvalidInput

app = typer.Typer(name="secret", help="The key that stored secrets are encrypted with.", no_args_is_help=True)

AT_ONCE = 100
"""Secrets that one request encrypts: so few that nobody else waits for it."""
COUNTED = ("reencrypted", "current", "older", "unreadable")
LISTED = ("unreadable_endpoints", "unreadable_credentials", "unreadable_subscriptions")


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


@app.command()
def forget(
    *,
    unreadable: Annotated[
        bool,
        typer.Option(
            "--unreadable", help="Those that none of the keys opens; there are no others to forget."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing; only say which.")] = False,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take away the stored secrets whose key is lost, in the database itself, and say what to set anew.

    A server that does not have the key refuses to start before that.
    """
    import asyncio

    from kanca.app.recovering import forget_unreadable
    from kanca.settings import load_settings

    if not unreadable:
        raise InvalidInput("Say --unreadable: only secrets that nobody can read are taken away.")
    settings = load_settings(database_url=database_url)
    found = asyncio.run(forget_unreadable(settings, datetime.now(UTC), is_real=not dry_run))
    Output(as_json).show_data({"is_dry_run": dry_run, **asdict(found)}, _forgotten)


def _forgotten(data: dict[str, Any]) -> str:
    """What was taken away, and what to do for each."""
    lines = [
        *(f"kanca endpoint rotate-secret {name}" for name in data["endpoints"]),
        *(f"kanca subscription rotate-secret {name}" for name in data["subscriptions"]),
        *(f"kanca credential set {plain(name)} …" for name in data["credentials"]),
    ]
    if not data["count"]:
        return "Every stored secret can be read: there is nothing to forget."
    if not lines:
        return (
            "There is nothing to set anew." if data["is_dry_run"] else "Done. There is nothing to set anew."
        )
    told = "Would be taken away. Then" if data["is_dry_run"] else "Taken away. Start the server, and"
    return "\n".join([f"{told} set anew:", *(f"  {line}" for line in lines)])


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
