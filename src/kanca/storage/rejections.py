"""The most recent refused requests of each endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, delete, func, insert, select

from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.tables import endpoints, rejections

KEPT = 100
"""Rejections of one endpoint."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused request."""

    id: UUID
    endpoint: int
    occurred_at: datetime
    status: int
    code: str
    detail: str
    client: str
    """The address it came from."""
    request: bytes
    """Method, path, redacted headers and the head of the body, as JSON."""
    count: int = 1
    """How many it stands for: itself, and those alike that came right after it."""


def add(connection: Connection, refused: Sequence[Rejection]) -> None:
    """Store rejections, and forget all but the newest 100 of their endpoints."""
    if not refused:
        return
    numbers = sorted({rejection.endpoint for rejection in refused})
    # One process at a time for each endpoint: several that trim at once would not see each other's rows.
    locked = select(endpoints.c.number).where(endpoints.c.number.in_(numbers)).order_by(endpoints.c.number)
    connection.execute(locked.with_for_update(key_share=True))
    connection.execute(insert(rejections), [_row(rejection) for rejection in refused])
    connection.execute(delete(rejections).where(rejections.c.id.in_(_surplus(numbers))))


def causes(connection: Connection, endpoint: int) -> dict[str, int]:
    """How many requests an endpoint's rejections stand for, by code, the most frequent first."""
    many = func.sum(rejections.c.count)
    query = (
        select(rejections.c.code, many)
        .where(rejections.c.endpoint == endpoint)
        .group_by(rejections.c.code)
        .order_by(many.desc(), rejections.c.code)
    )
    return {code: int(count) for code, count in connection.execute(query)}


def page(
    connection: Connection, endpoint: int, limit: int = 50, cursor: str | None = None
) -> Page[Rejection]:
    """List an endpoint's rejections, newest first. Raises InvalidInput for a wrong limit or cursor."""
    query = (
        select(rejections)
        .where(rejections.c.endpoint == endpoint)
        .order_by(rejections.c.id.desc())
        .limit(check_limit(limit) + 1)
    )
    if cursor is not None:
        query = query.where(rejections.c.id < read_id_cursor(cursor))
    rows = [Rejection(**row._asdict()) for row in connection.execute(query)]
    items = tuple(rows[:limit])
    return Page(items, cursor_after(items[-1].id) if len(rows) > limit else None)


@dataclass(frozen=True, slots=True)
class RejectionAt:
    """A refused request, and the endpoint that refused it."""

    rejection: Rejection
    webhook_id: str
    provider: str
    tenant: str


def newer(connection: Connection, bound: UUID, limit: int) -> list[RejectionAt]:
    """Give the rejections of all endpoints with ids from ``bound`` on, the oldest first."""
    named = endpoints.c.webhook_id, endpoints.c.provider, endpoints.c.tenant
    query = select(rejections, *named).join(endpoints, endpoints.c.number == rejections.c.endpoint)
    query = query.where(rejections.c.id >= bound).order_by(rejections.c.id).limit(limit)
    return [
        RejectionAt(Rejection(*row[: -len(named)]), *row[-len(named) :]) for row in connection.execute(query)
    ]


def _surplus(numbers: Sequence[int]) -> Select[tuple[UUID]]:
    place = func.row_number().over(partition_by=rejections.c.endpoint, order_by=rejections.c.id.desc())
    placed = (
        select(rejections.c.id, place.label("place")).where(rejections.c.endpoint.in_(numbers)).subquery()
    )
    return select(placed.c.id).where(placed.c.place > KEPT)


def _row(rejection: Rejection) -> dict[str, Any]:
    # Senders of refused requests send anything: what no text column takes must not cost the other rejections.
    storable = {name: _storable(getattr(rejection, name)) for name in ("code", "detail", "client")}
    return asdict(rejection) | storable


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
