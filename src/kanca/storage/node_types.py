"""Node types that apps bring: workers announce them, so that a gateway can check workflows without the apps' code."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, insert, select, update

from kanca.storage.clock import now
from kanca.storage.tables import node_types
from kanca.storage.versions import bump_version


def announce(connection: Connection, app: str, specs: Mapping[str, str]) -> None:
    """Make an app's node types known (``specs``: JSON by name), and retire those it no longer has.

    A name that another app announced before is the newer one's from now on. Announcing what is known changes nothing.
    """
    bump_version(
        connection, "node_types"
    )  # first: two workers that start at once announce one after the other
    known = {
        row.name: row
        for row in connection.execute(
            select(node_types).where(node_types.c.name.in_(specs) | (node_types.c.app == app))
        )
    }
    for name, spec in specs.items():
        row = known.get(name)
        if row is None:
            connection.execute(insert(node_types).values(name=name, app=app, spec=spec, announced_at=now))
        elif (row.app, row.spec, row.retired_at) != (app, spec, None):
            change = update(node_types).where(node_types.c.name == name)
            connection.execute(change.values(app=app, spec=spec, announced_at=now, retired_at=None))
    gone = [name for name, row in known.items() if name not in specs and row.retired_at is None]
    connection.execute(update(node_types).where(node_types.c.name.in_(gone)).values(retired_at=now))


def announced(connection: Connection) -> dict[str, str]:
    """The node types that some app has, as JSON by name."""
    query = select(node_types.c.name, node_types.c.spec).where(node_types.c.retired_at.is_(None))
    return {row.name: row.spec for row in connection.execute(query.order_by(node_types.c.name))}
