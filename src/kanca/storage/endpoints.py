"""Endpoints, their secrets encrypted.

Every change first moves the version that caches watch. That row is a lock, so that changes come one after the other,
and what is read after it does not change any more until the commit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, insert, or_, select, update

from kanca.domain.endpoint import Endpoint, EndpointConfig, NodeBehavior, Secret
from kanca.domain.endpoint_config import read_config, stored_config
from kanca.errors import (
    EndpointExists,
    EndpointNotFound,
    SlugTaken,
    WorkflowNotFound,
)
from kanca.storage import configured
from kanca.storage.pages import Page, check_limit, cursor_after, read_number_cursor
from kanca.storage.sealed_secrets import NOTHING, seal
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import FIRST_ENDPOINT_NUMBER, endpoints, workflows
from kanca.storage.versions import bump_version


@dataclass(frozen=True, slots=True)
class EndpointName:
    """What lists of events say of an endpoint."""

    webhook_id: str
    name: str
    provider: str
    has_own_answer: bool
    """Its senders are not answered with Kanca's own words."""


class Entry(NamedTuple):
    """How the events of an endpoint enter its workflow."""

    webhook_id: str
    node_id: str | None
    behavior: NodeBehavior


class Listed(NamedTuple):
    """An endpoint in a list, which is shown even when something in it cannot be read."""

    endpoint: Endpoint
    unreadable: tuple[str, ...]
    """``config``, ``secrets``: what could not be read, and stands there as if nothing were set."""


def create(connection: Connection, box: SecretBox, endpoint: Endpoint) -> Endpoint:
    """Store a new endpoint, whatever its ``number``, and give it with its own.

    Raises SlugTaken, EndpointExists, and WorkflowNotFound when there is no such workflow.
    """
    bump_version(connection, "endpoints")
    _check_workflow(connection, endpoint.workflow_id)
    _check_slug(connection, endpoint.slug)
    _check_id(connection, endpoint.webhook_id)
    values = {"webhook_id": endpoint.webhook_id, "created_at": endpoint.created_at, **_values(box, endpoint)}
    result = connection.execute(insert(endpoints).values(values).returning(endpoints.c.number))
    return replace(endpoint, number=result.scalar_one())


def change(
    connection: Connection, box: SecretBox, webhook_id: str, change: Callable[[Endpoint], Endpoint]
) -> Endpoint:
    """Change an endpoint as it is now, without losing what others change at the same time; give it as it is then.

    ``change`` gets the endpoint and gives the new one; its number, id and age stay.
    Raises EndpointNotFound, WorkflowNotFound, SlugTaken; ConfigUnreadable, so that nothing is lost of what a newer
    version has stored.
    """
    bump_version(connection, "endpoints")
    before = by_webhook_id(connection, box, webhook_id)
    if before is None:
        raise EndpointNotFound(f"There is no endpoint {webhook_id}")
    after = change(before)
    if after.workflow_id != before.workflow_id:
        _check_workflow(connection, after.workflow_id)
    if after.slug != before.slug:
        _check_slug(connection, after.slug)
    connection.execute(
        update(endpoints).where(endpoints.c.number == before.number).values(_values(box, after))
    )
    return replace(after, number=before.number, webhook_id=webhook_id, created_at=before.created_at)


def delete(connection: Connection, webhook_id: str, now: datetime) -> None:
    """Delete an endpoint: it is not found any more, its slug is free, its events stay.

    A paused one goes on, so that the work of its events ends. Its secrets go: nothing is verified with them any more.
    Raises EndpointNotFound, also for one that is built in.
    """
    bump_version(connection, "endpoints")
    result = connection.execute(
        update(endpoints)
        .where(
            endpoints.c.webhook_id == webhook_id,
            endpoints.c.deleted_at.is_(None),
            endpoints.c.number >= FIRST_ENDPOINT_NUMBER,
        )
        .values(deleted_at=now, updated_at=now, is_active=False, is_paused=False, secrets=NOTHING)
    )
    if not result.rowcount:
        raise EndpointNotFound(f"There is no endpoint {webhook_id}")


def by_webhook_id(connection: Connection, box: SecretBox, webhook_id: str) -> Endpoint | None:
    """Give the endpoint with that id, unless it was deleted. Raises ConfigUnreadable."""
    return _one(connection, box, _live().where(endpoints.c.webhook_id == webhook_id))


def listed(connection: Connection, box: SecretBox, webhook_id: str) -> Listed | None:
    """Give the endpoint with that id as lists have it, unless it was deleted: whatever of it cannot be read."""
    row = connection.execute(_live().where(endpoints.c.webhook_id == webhook_id)).one_or_none()
    return None if row is None else _listed(box, row)


def by_slug(connection: Connection, box: SecretBox, slug: str) -> Endpoint | None:
    """Give the endpoint with that slug, unless it was deleted. Raises ConfigUnreadable."""
    return _one(connection, box, _live().where(endpoints.c.slug == slug))


def by_number(connection: Connection, box: SecretBox, number: int) -> Endpoint | None:
    """Give the endpoint with that number, deleted or not: what it accepted has to be worked through."""
    return _one(connection, box, select(endpoints).where(endpoints.c.number == number))


def by_address(connection: Connection, addresses: Collection[str]) -> dict[str, tuple[str, str]]:
    """Give id and tenant of the endpoints that there are of these ids and slugs, by how each is named here."""
    found: dict[str, tuple[str, str]] = {}
    if not addresses:
        return found
    wanted = sorted(addresses)
    query = select(endpoints.c.webhook_id, endpoints.c.slug, endpoints.c.tenant).where(
        endpoints.c.deleted_at.is_(None),
        or_(endpoints.c.webhook_id.in_(wanted), endpoints.c.slug.in_(wanted)),
    )
    for webhook_id, slug, tenant in connection.execute(query):
        found |= {name: (webhook_id, tenant) for name in (webhook_id, slug) if name in addresses}
    return found


def page(
    connection: Connection,
    box: SecretBox,
    limit: int = 50,
    cursor: str | None = None,
    tenant: str | None = None,
    workflow_id: str | None = None,
    without: Collection[str] = (),
) -> Page[Listed]:
    """List endpoints, newest first, ``without`` those of these ids. Raises InvalidInput for a wrong limit or cursor."""
    query = (
        _live()
        .where(endpoints.c.webhook_id.not_in(without))
        .order_by(endpoints.c.number.desc())
        .limit(check_limit(limit) + 1)
    )
    if cursor is not None:
        query = query.where(endpoints.c.number < read_number_cursor(cursor))
    if tenant is not None:
        query = query.where(endpoints.c.tenant == tenant)
    if workflow_id is not None:
        query = query.where(endpoints.c.workflow_id == workflow_id)
    rows = connection.execute(query).all()
    items = tuple(_listed(box, row) for row in rows[:limit])
    return Page(items, cursor_after(items[-1].endpoint.number) if len(rows) > limit else None)


def names(connection: Connection, numbers: Iterable[int]) -> dict[int, EndpointName]:
    """Give what endpoints are called, deleted ones too."""
    named = endpoints.c.number, endpoints.c.webhook_id, endpoints.c.name, endpoints.c.provider
    query = select(*named, endpoints.c.config).where(endpoints.c.number.in_(set(numbers)))
    return {
        row.number: EndpointName(
            row.webhook_id, row.name, row.provider, _has_own_answer(json.loads(row.config))
        )
        for row in connection.execute(query)
    }


def entries(connection: Connection, workflow_id: str) -> list[Entry]:
    """Give how the events of endpoints enter a workflow, but for those that leave it to the workflow."""
    query = select(endpoints.c.webhook_id, endpoints.c.node_id, endpoints.c.config).where(
        endpoints.c.workflow_id == workflow_id, endpoints.c.deleted_at.is_(None)
    )
    found = []
    for row in connection.execute(query.order_by(endpoints.c.number)):
        behavior = NodeBehavior(json.loads(row.config).get("node_behavior", NodeBehavior.AUTO))
        if behavior is not NodeBehavior.AUTO:
            found.append(Entry(row.webhook_id, row.node_id, behavior))
    return found


def _has_own_answer(config: Mapping[str, Any]) -> bool:
    own = config.get("provider_spec") or {}
    is_held = bool(config.get("response_wait"))
    return config.get("answer") is not None or own.get("answer") is not None or is_held


def _live() -> Select[Any]:
    return select(endpoints).where(endpoints.c.deleted_at.is_(None))


def _one(connection: Connection, box: SecretBox, query: Select[Any]) -> Endpoint | None:
    row = connection.execute(query).one_or_none()
    return None if row is None else _endpoint(box, row)


def _values(box: SecretBox, endpoint: Endpoint) -> dict[str, Any]:
    """What may change."""
    return {
        "name": endpoint.name,
        "slug": endpoint.slug,
        "provider": endpoint.provider,
        "tenant": endpoint.tenant,
        "workflow_id": endpoint.workflow_id,
        "node_id": endpoint.node_id,
        "config": json.dumps(stored_config(endpoint.config)),
        "secrets": seal(box, endpoint.secrets),
        "is_active": endpoint.is_active,
        "is_paused": endpoint.is_paused,
        "updated_at": endpoint.updated_at,
    }


def _endpoint(box: SecretBox, row: Row[Any]) -> Endpoint:
    return _made(row, *configured.whole(box, row, row.webhook_id, read_config))


def _listed(box: SecretBox, row: Row[Any]) -> Listed:
    config, secrets, unreadable = configured.readable(box, row, read_config, EndpointConfig())
    return Listed(_made(row, config, secrets), unreadable)


def _made(row: Row[Any], config: EndpointConfig, secrets: tuple[Secret, ...]) -> Endpoint:
    values = row._asdict()
    del values["deleted_at"]
    return Endpoint(**values | {"config": config, "secrets": secrets})


def _check_workflow(connection: Connection, workflow_id: str | None) -> None:
    if workflow_id is None:
        return
    # Locked against a deletion that would leave the endpoint pointing at nothing.
    query = select(workflows.c.id).where(workflows.c.id == workflow_id).with_for_update()
    if connection.scalar(query) is None:
        raise WorkflowNotFound(f"There is no workflow {workflow_id}")


def _check_id(connection: Connection, webhook_id: str) -> None:
    # Those that were deleted too: their events stay, and name them.
    if connection.scalar(select(endpoints.c.number).where(endpoints.c.webhook_id == webhook_id)) is not None:
        raise EndpointExists(f"There is an endpoint {webhook_id} already, or there was one")


def _check_slug(connection: Connection, slug: str | None) -> None:
    if slug is None:
        return
    taken_by = connection.scalar(
        select(endpoints.c.webhook_id).where(endpoints.c.slug == slug, endpoints.c.deleted_at.is_(None))
    )
    if taken_by is not None:
        raise SlugTaken(f"The slug {slug} is taken by {taken_by}")
