"""``kanca key``: who may use the management API, and for what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from kanca.cli.migrate import DatabaseUrl
from kanca.cli.options import Cursor, Limit, given
from kanca.cli.output import Output, details, page
from kanca.cli.server import AsJson, Server, speaks_to_server
from kanca.domain.api_key import Role

app = typer.Typer(name="key", help="Keys of the management API.", no_args_is_help=True)

KEYS = ("api", "keys")
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="`key_…`, as `kanca key list` shows it.")]
Name = Annotated[str, typer.Option(help="Who or what has it.")]
Days = Annotated[
    float | None, typer.Option("--expires-in-days", min=0.001, help="When it ends.", show_default="never")
]


@app.command()
@speaks_to_server
def create(
    server: Server,
    output: Output,
    *,
    name: Name,
    role: Annotated[Role, typer.Option(help="What it may.")],
    tenant: Annotated[
        str | None, typer.Option(help="What it is confined to.", show_default="all tenants")
    ] = None,
    expires_in_days: Days = None,
) -> None:
    """Make a key. It is shown once, here."""
    body = {"name": name, "role": str(role)} | given(tenant=tenant, expires_at=_moment_in(expires_in_days))
    output.show(server.post(*KEYS, body=body), details)


@app.command("list")
@speaks_to_server
def list_keys(
    server: Server,
    output: Output,
    *,
    tenant: Annotated[str | None, typer.Option(help="Only those of this tenant.", show_default=False)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List keys, the newest first, those too that were revoked."""
    answer = server.get(*KEYS, tenant=tenant, limit=limit, cursor=cursor)
    output.show(
        answer, page("id", "name", "hint", "role", "tenant", "is_valid", "expires_at", "last_used_at")
    )


@app.command()
@speaks_to_server
def show(server: Server, output: Output, key_id: KeyId) -> None:
    """Show what a key is for, and when it was used."""
    output.show(server.get(*KEYS, key_id), details)


@app.command()
@speaks_to_server
def change(
    server: Server,
    output: Output,
    key_id: KeyId,
    *,
    name: Annotated[str | None, typer.Option(help="Who or what has it.", show_default=False)] = None,
    expires_in_days: Days = None,
    never_expires: Annotated[bool, typer.Option("--never-expires", help="Let it have no end.")] = False,
) -> None:
    """Give a key another name, or another end."""
    body: dict[str, Any] = given(name=name, expires_at=_moment_in(expires_in_days))
    if never_expires:
        body["expires_at"] = None
    output.show(server.put(*KEYS, key_id, body=body), details)


@app.command()
@speaks_to_server
def revoke(server: Server, output: Output, key_id: KeyId) -> None:
    """End a key for good, with its sessions."""
    output.show(server.delete(*KEYS, key_id), details)


@app.command()
def recover(
    *,
    name: Name = "recovery",
    expires_in_days: Days = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make an admin key in the database itself, when there is no other way in. It is shown once, here.

    A running server knows it a second later.
    """
    import asyncio

    from kanca.app.recovering import make_admin_key
    from kanca.settings import load_settings

    settings = load_settings(database_url=database_url)
    ends_at = None if expires_in_days is None else _now() + timedelta(days=expires_in_days)
    made = asyncio.run(make_admin_key(settings, name, ends_at, _now()))
    Output(as_json).show_data({"id": made.id, "name": name, "role": "admin", "key": made.key}, details)


def _moment_in(days: float | None) -> str | None:
    return None if days is None else (_now() + timedelta(days=days)).isoformat()


def _now() -> datetime:
    return datetime.now(UTC)
