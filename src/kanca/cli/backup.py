"""``kanca backup``: a copy of a SQLite database, while Kanca goes on."""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kanca.cli.migrate import DatabaseUrl
from kanca.cli.output import Output, console, details
from kanca.cli.server import AsJson
from kanca.errors import InvalidInput

if TYPE_CHECKING:
    from kanca.settings import Settings


def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where the copy shall be; it must not be there.")
    ],
    *,
    database_url: DatabaseUrl = None,
    with_key: Annotated[
        bool,
        typer.Option(
            "--with-key",
            help="Copy kanca.key too, to FILE.key. Without it nobody can read the secrets that are in the copy.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Copy a SQLite database as it is at this moment, while Kanca goes on accepting.

    PostgreSQL has its own: see docs/guides/backup.md.
    """
    from kanca.settings import load_settings
    from kanca.storage.dialects import back_up

    settings = load_settings(database_url=database_url)
    key = _key_of(settings)
    key_copy = file.with_name(f"{file.name}.key")
    if with_key and key is None:
        raise InvalidInput(
            "There is no kanca.key to copy: the key is KANCA_SECRET_KEY, which is kept elsewhere."
        )
    if with_key and key_copy.exists():
        raise InvalidInput(f"{key_copy} is there already.")
    progress = console(stderr=True)
    with progress.status(f"Copying to {file}") if progress.is_terminal else nullcontext():
        size = back_up(settings.database_url, file)
    if with_key and key is not None:
        _copy_key(key, key_copy)
    made = {"file": str(file), "size_bytes": size, "key_file": str(key_copy) if with_key else None}
    Output(as_json).show_data(made, details)
    if not with_key:
        where = "KANCA_SECRET_KEY" if key is None else str(key)
        typer.echo(f"The key is not in it: keep {where} too, in another place.", err=True)


def _key_of(settings: Settings) -> Path | None:
    """The key file that the server uses; None when its key is a setting."""
    from kanca.storage.dialects import key_file_of

    key = key_file_of(settings.database_url)
    return key if settings.secret_key is None and key is not None and key.exists() else None


def _copy_key(key: Path, copy: Path) -> None:
    try:
        handle = os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as target, key.open("rb") as source:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        raise InvalidInput(f"{copy} cannot be written: {error.strerror}.") from None
