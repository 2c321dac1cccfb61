"""``kanca migrate``: bring the database's schema up to date."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from kanca.cli.output import console

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url", help="Where everything is stored. Default: KANCA_DATABASE_URL.", show_default=False
    ),
]


def migrate(database_url: DatabaseUrl = None) -> None:
    """Bring the database's schema up to date. Several processes may do so at once."""
    import asyncio

    from kanca.app.serving import migrate as migrate_database
    from kanca.settings import load_settings, redacted

    settings = load_settings(database_url=database_url)
    place = redacted(settings)["database_url"]
    progress = console(stderr=True)
    with progress.status(f"Migrating {place}") if progress.is_terminal else nullcontext():
        asyncio.run(migrate_database(settings))
    typer.echo(f"The schema of {place} is current.")
