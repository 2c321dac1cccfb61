"""The most recent refused requests of each endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.tables import rejections

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


def add(connection: Connection, refused: Sequence[Rejection]) -> None:
    """Store rejections, and forget all but the newest 100 of their endpoints."""
    if not refused:
        return
    connection.execute(insert(rejections), [_row(rejection) for rejection in refused])
    for endpoint in sorted({rejection.endpoint for rejection in refused}):
        mine = rejections.c.endpoint == endpoint
        newest_to_go = connection.scalar(
            select(rejections.c.id).where(mine).order_by(rejections.c.id.desc()).offset(KEPT).limit(1)
        )
        if newest_to_go is not None:
            connection.execute(delete(rejections).where(mine, rejections.c.id <= newest_to_go))


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


def _row(rejection: Rejection) -> dict[str, Any]:
    # Senders of refused requests send anything: what no text column takes must not cost the other rejections.
    storable = {name: _storable(getattr(rejection, name)) for name in ("code", "detail", "client")}
    return asdict(rejection) | storable


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
