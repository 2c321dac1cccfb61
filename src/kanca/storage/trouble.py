"""What is measured now and then, to notice trouble that no single piece of work tells of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, or_, select

from kanca.domain.subscription import OPERATIONAL_ENDPOINT
from kanca.storage.statistics import MINUTE
from kanca.storage.tables import dead_letters, endpoints, rejections, statistics


@dataclass(frozen=True, slots=True)
class Refusing:
    """What an endpoint did with its requests."""

    number: int
    webhook_id: str
    name: str
    tenant: str
    rejected: int
    requests: int
    """Refused ones among them."""


def dead_letters_by_tenant(connection: Connection) -> dict[str, int]:
    """Count the dead letters of each tenant, but for those of events about webhooks themselves."""
    # Those would have their own trouble told, in events that may become dead letters again.
    query = (
        select(dead_letters.c.tenant, func.count())
        .where(or_(dead_letters.c.endpoint.is_(None), dead_letters.c.endpoint != OPERATIONAL_ENDPOINT))
        .group_by(dead_letters.c.tenant)
    )
    return {row.tenant: row[1] for row in connection.execute(query)}


def refusing(connection: Connection, since: datetime, until: datetime, least: int) -> list[Refusing]:
    """Endpoints that refused ``least`` requests or more in the minutes from ``since`` to before ``until``."""
    rejected = func.sum(statistics.c.rejected)
    requests = rejected + func.sum(statistics.c.accepted) + func.sum(statistics.c.duplicates)
    names = (endpoints.c.number, endpoints.c.webhook_id, endpoints.c.name, endpoints.c.tenant)
    in_time = and_(
        statistics.c.endpoint == endpoints.c.number,
        statistics.c.span == MINUTE.seconds,
        statistics.c.started_at >= since,
        statistics.c.started_at < until,
    )
    query = (
        select(*names, rejected, requests)
        .select_from(endpoints.join(statistics, in_time))
        .where(endpoints.c.deleted_at.is_(None))
        .group_by(*names)
        .having(rejected >= least)
        .order_by(endpoints.c.number)
    )
    return [Refusing(*row[:4], int(row[4]), int(row[5])) for row in connection.execute(query)]


def last_rejection(connection: Connection, endpoint: int) -> str | None:
    """Give the code of what an endpoint refused last."""
    query = select(rejections.c.code).where(rejections.c.endpoint == endpoint)
    code: str | None = connection.scalar(query.order_by(rejections.c.id.desc()).limit(1))
    return code
