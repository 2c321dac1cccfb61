"""What apps announce by name, so that processes without their code know of it: handlers and node types."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Table, insert, select, update

from kanca.storage.clock import now
from kanca.storage.versions import Subject, bump_version


def announce(
    connection: Connection, table: Table, subject: Subject, app: str, specs: Mapping[str, str]
) -> None:
    """Make what an app has known in ``table`` (``specs``: JSON by name), and retire what it no longer has.

    A name that another app announced before is the newer one's from now on. Announcing what is known changes nothing.
    """
    bump_version(connection, subject)  # first: two workers that start at once announce one after the other
    query = select(table).where(table.c.name.in_(specs) | (table.c.app == app))
    known = {row.name: row for row in connection.execute(query)}
    for name, spec in specs.items():
        row = known.get(name)
        if row is None:
            connection.execute(insert(table).values(name=name, app=app, spec=spec, announced_at=now))
        elif (row.app, row.spec, row.retired_at) != (app, spec, None):
            change = update(table).where(table.c.name == name)
            connection.execute(change.values(app=app, spec=spec, announced_at=now, retired_at=None))
    gone = [name for name, row in known.items() if name not in specs and row.retired_at is None]
    connection.execute(update(table).where(table.c.name.in_(gone)).values(retired_at=now))
