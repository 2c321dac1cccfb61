"""What a tenant configured, and how it goes: deleted, and without names, addresses and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, delete, func, literal, select, update

from kanca.storage.sealed_secrets import NOTHING
from kanca.storage.tables import (
    FIRST_ENDPOINT_NUMBER,
    api_keys,
    endpoints,
    schedules,
    subscription_health,
    subscriptions,
    workflow_versions,
    workflows,
)
from kanca.storage.types import Instant
from kanca.storage.versions import bump_version

ERASED_NAME = "erased"


def configured(connection: Connection, tenant: str) -> Mapping[str, int]:
    """How much a tenant has configured."""
    own = endpoints.c.number >= FIRST_ENDPOINT_NUMBER, endpoints.c.deleted_at.is_(None)
    return {
        "endpoints": _count(connection, endpoints, tenant, *own),
        "subscriptions": _count(connection, subscriptions, tenant, subscriptions.c.deleted_at.is_(None)),
        "workflows": _count(connection, workflows, tenant),
        "api_keys": _count(connection, api_keys, tenant, api_keys.c.revoked_at.is_(None)),
    }


def remove_configured(connection: Connection, tenant: str, now: datetime) -> Mapping[str, int]:
    """Delete the tenant's endpoints, subscriptions and workflows, and end its keys; gives how many there were.

    Of those deleted before the names go too. Open deliveries are skipped.
    """
    counts = configured(connection, tenant)
    for subject in ("endpoints", "subscriptions", "workflows", "api_keys"):
        bump_version(connection, subject)
    # With its type: a moment is not stored as what the driver makes of it.
    at = literal(now, Instant)
    scrubbed = {"name": ERASED_NAME, "config": "{}", "secrets": NOTHING, "is_active": False}
    gone = {"deleted_at": func.coalesce(endpoints.c.deleted_at, at), "updated_at": now}
    connection.execute(
        update(endpoints)
        .where(endpoints.c.tenant == tenant, endpoints.c.number >= FIRST_ENDPOINT_NUMBER)
        .values(**scrubbed, **gone, slug=None, workflow_id=None, node_id=None, is_paused=False)
    )
    own = select(subscriptions.c.number).where(subscriptions.c.tenant == tenant)
    connection.execute(delete(subscription_health).where(subscription_health.c.subscription.in_(own)))
    gone = {"deleted_at": func.coalesce(subscriptions.c.deleted_at, at), "updated_at": now}
    connection.execute(
        update(subscriptions)
        .where(subscriptions.c.tenant == tenant)
        .values(**scrubbed, **gone, url="https://erased.invalid", events="[]", sources="[]")
    )
    theirs = select(workflows.c.id).where(workflows.c.tenant == tenant)
    connection.execute(delete(schedules).where(schedules.c.workflow_id.in_(theirs)))
    connection.execute(delete(workflow_versions).where(workflow_versions.c.workflow_id.in_(theirs)))
    connection.execute(delete(workflows).where(workflows.c.tenant == tenant))
    ended = {"name": ERASED_NAME, "revoked_at": func.coalesce(api_keys.c.revoked_at, at)}
    connection.execute(update(api_keys).where(api_keys.c.tenant == tenant).values(**ended))
    return counts


def _count(connection: Connection, table: Table, tenant: str, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(table).where(table.c.tenant == tenant, *conditions)
    return connection.scalar(query) or 0
