"""What workers read about the tasks they claimed, and what they announce.

One read transaction per claimed batch gives its events, and says whether anything that the worker keeps in memory has
changed since (``versions``): so a worker never decides about an event by something older than the event.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, select

from kanca.storage.announcements import announce
from kanca.storage.events import padded
from kanca.storage.tables import endpoints, handlers, workflows


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
    workflow_number: int | None
    """None when it belongs to no workflow, or to one that is not there any more."""


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
        workflows.c.number,
    )
    .outerjoin_from(endpoints, workflows, workflows.c.id == endpoints.c.workflow_id)
    .where(endpoints.c.number.in_(_IDS))
)
_HANDLERS = select(
    handlers.c.number, handlers.c.name, handlers.c.spec, handlers.c.retired_at.is_not(None)
).order_by(handlers.c.number)


def read_endpoints(connection: Connection, numbers: Collection[int]) -> list[EndpointRow]:
    """Endpoints by number, deleted ones too, with what is known of their workflows."""
    rows: Iterable[Any] = connection.execute(_ENDPOINTS, {"ids": padded(numbers)})
    return [EndpointRow(*row) for row in rows]


def read_paused_workflows(connection: Connection) -> frozenset[int]:
    """The numbers of the workflows whose runs are held."""
    return frozenset(connection.scalars(select(workflows.c.number).where(workflows.c.is_paused)))


def read_handlers(connection: Connection) -> list[HandlerRow]:
    """All handlers that were ever announced."""
    rows: Iterable[Any] = connection.execute(_HANDLERS)
    return [HandlerRow(*row) for row in rows]


def announce_handlers(connection: Connection, app: str, specs: Mapping[str, str]) -> dict[str, int]:
    """Make an app's handlers known (``specs``: JSON by name), retire those it no longer has, and give their numbers.

    A name keeps its number for ever, whichever app has it: unfinished work refers to it.
    """
    announce(connection, handlers, "handlers", app, specs)
    numbers = select(handlers.c.name, handlers.c.number).where(handlers.c.name.in_(specs))
    return {row.name: row.number for row in connection.execute(numbers)}
