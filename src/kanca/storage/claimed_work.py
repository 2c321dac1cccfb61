"""What workers read about the tasks they claimed, and what they announce.

One read transaction per claimed batch gives its events, and says whether anything that the worker keeps in memory has
changed since (``versions``): so a worker never decides about an event by something older than the event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, insert, select, update

from kanca.storage.clock import now
from kanca.storage.events import padded
from kanca.storage.tables import endpoints, handlers, workflows
from kanca.storage.versions import bump_version


class EndpointRow(NamedTuple):
    """What a worker needs of an endpoint: also of a deleted one, whose events still have to end."""

    number: int
    webhook_id: str
    slug: str | None
    provider: str
    workflow_id: str | None
    node_id: str | None
    config: str
    """JSON."""
    is_paused: bool
    published_version: int | None
    """Of its workflow; None also when it belongs to none, or to one that is not there any more."""


class HandlerRow(NamedTuple):
    """An announced handler."""

    number: int
    name: str
    spec: str
    """JSON."""
    is_retired: bool
    """No app has it any more; it may have unfinished work."""


_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_ENDPOINTS = (
    select(
        endpoints.c.number,
        endpoints.c.webhook_id,
        endpoints.c.slug,
        endpoints.c.provider,
        endpoints.c.workflow_id,
        endpoints.c.node_id,
        endpoints.c.config,
        endpoints.c.is_paused,
        workflows.c.published_version,
    )
    .outerjoin_from(endpoints, workflows, workflows.c.id == endpoints.c.workflow_id)
    .where(endpoints.c.number.in_(_IDS))
)
_HANDLERS = select(
    handlers.c.number, handlers.c.name, handlers.c.spec, handlers.c.retired_at.is_not(None)
).order_by(handlers.c.number)


def read_endpoints(connection: Connection, numbers: Collection[int]) -> list[EndpointRow]:
    """Endpoints by number, deleted ones too, with what is known of their workflows."""
    return [EndpointRow(*row) for row in connection.execute(_ENDPOINTS, {"ids": padded(numbers)})]


def read_handlers(connection: Connection) -> list[HandlerRow]:
    """All handlers that were ever announced."""
    rows: Iterable[Any] = connection.execute(_HANDLERS)
    return [HandlerRow(*row) for row in rows]


def announce_handlers(connection: Connection, app: str, specs: Mapping[str, str]) -> dict[str, int]:
    """Make an app's handlers known (``specs``: JSON by name), retire those it no longer has, and give their numbers.

    A name keeps its number for ever, whichever app has it: unfinished work refers to it. Announcing what is known
    changes nothing.
    """
    bump_version(connection, "handlers")  # first: two workers that start at once announce one after the other
    known = {
        row.name: row
        for row in connection.execute(
            select(handlers).where(handlers.c.name.in_(specs) | (handlers.c.app == app))
        )
    }
    for name, spec in specs.items():
        row = known.get(name)
        if row is None:
            connection.execute(insert(handlers).values(name=name, app=app, spec=spec, announced_at=now))
        elif (row.app, row.spec, row.retired_at) != (app, spec, None):
            change = update(handlers).where(handlers.c.name == name)
            connection.execute(change.values(app=app, spec=spec, announced_at=now, retired_at=None))
    gone = [name for name, row in known.items() if name not in specs and row.retired_at is None]
    connection.execute(update(handlers).where(handlers.c.name.in_(gone)).values(retired_at=now))
    numbers = select(handlers.c.name, handlers.c.number).where(handlers.c.name.in_(specs))
    return {row.name: row.number for row in connection.execute(numbers)}
