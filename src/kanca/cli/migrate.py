"""``kanca migrate``: bring the database's schema up to date."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from kanca.cli.output import console

if TYPE_CHECKING:
    from kanca.storage.standing import Schema

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url", help="Where everything is stored. Default: KANCA_DATABASE_URL.", show_default=False
    ),
]


def migrate(
    *,
    database_url: DatabaseUrl = None,
    contract: Annotated[
        bool,
        typer.Option(
            "--contract", help="Also take away what only older versions need, once none of them runs."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="With --contract: also while an older version seems to run.")
    ] = False,
) -> None:
    """Bring the database's schema up to date. Several processes may do so at once.

    What runs already, of this version or the one before, goes on meanwhile.
    """
    import asyncio

    from kanca.app.serving import migrate as migrate_database
    from kanca.settings import load_settings, redacted

    if force and not contract:
        raise typer.BadParameter("it is for --contract only", param_hint="--force")
    settings = load_settings(database_url=database_url)
    place = redacted(settings)["database_url"]
    progress = console(stderr=True)
    with progress.status(f"Migrating {place}") if progress.is_terminal else nullcontext():
        schema = asyncio.run(migrate_database(settings, contracting=contract, force=force))
    typer.echo(said(place, schema))


def said(place: str, schema: Schema) -> str:
    """What there is to say of a schema that was just migrated."""
    if schema.expanded_to != schema.newest:
        return f"The schema of {place} was expanded by a newer Kanca; this one works with it."
    if not schema.pending_contracts:
        return f"The schema of {place} is current."
    return (
        f"The schema of {place} is current. It still has what only older versions need:\n"
        "once none of them runs, `kanca migrate --contract` takes it away."
    )
