"""Node types that apps bring: workers announce them, so that a gateway can check workflows without the apps' code."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select

from kanca.storage import announcements
from kanca.storage.tables import node_types


def announce(connection: Connection, app: str, specs: Mapping[str, str]) -> None:
    """Make an app's node types known (``specs``: JSON by name), and retire those it no longer has."""
    announcements.announce(connection, node_types, "node_types", app, specs)


def announced(connection: Connection) -> dict[str, str]:
    """The node types that some app has, as JSON by name."""
    query = select(node_types.c.name, node_types.c.spec).where(node_types.c.retired_at.is_(None))
    return {row.name: row.spec for row in connection.execute(query.order_by(node_types.c.name))}
