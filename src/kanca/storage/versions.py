"""Versions of what processes keep in memory: whoever changes such a thing says so in the same transaction."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, select, text

from kanca.storage.moves import note_move
from kanca.storage.tables import versions

Subject = Literal[
    "api_keys",
    "credentials",
    "endpoints",
    "event_types",
    "handlers",
    "node_types",
    "subscriptions",
    "workflows",
    "workflow_numbers",
]

_BUMP = text(
    "INSERT INTO kanca.versions AS old (subject, version) VALUES (:subject, 1)"
    " ON CONFLICT (subject) DO UPDATE SET version = old.version + 1"
)
_VERSIONS = select(versions.c.subject, versions.c.version)


def bump_version(connection: Connection, subject: Subject) -> None:
    """Say that something of that subject changes. Others who change it wait until this transaction is over."""
    connection.execute(_BUMP, {"subject": subject})
    note_move(connection, subject)


def read_versions(connection: Connection) -> dict[str, int]:
    """The version of each subject that was ever changed."""
    return {row.subject: row.version for row in connection.execute(_VERSIONS)}
