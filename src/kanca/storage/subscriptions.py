"""Subscriptions, their secrets encrypted, and how their receivers are.

Every change first moves the version that caches watch (see ``storage.endpoints``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, exists, insert, literal_column, select, update

from kanca.domain.endpoint import Secret
from kanca.domain.event import NewEvent
from kanca.domain.subscription import Subscription, SubscriptionConfig
from kanca.domain.subscription_config import read_subscription_config, stored_subscription_config
from kanca.domain.subscription_health import Health
from kanca.domain.task import Delivery, Outcome, TaskKind, TaskState
from kanca.errors import SubscriptionExists, SubscriptionNotFound
from kanca.storage import configured, events
from kanca.storage.dialects.upsert import upsert
from kanca.storage.pages import Page, check_limit, cursor_after, read_number_cursor
from kanca.storage.sealed_secrets import NOTHING, seal
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import (
    deliveries,
    outcomes,
    subscription_health,
    subscriptions,
    tasks,
)
from kanca.storage.versions import bump_version


class ListedSubscription(NamedTuple):
    """A subscription in a list, which is shown even when something in it cannot be read."""

    subscription: Subscription
    unreadable: tuple[str, ...]
    """``config``, ``secrets``: what could not be read, and stands there as if nothing were set."""
    is_deleted: bool = False


def create(connection: Connection, box: SecretBox, subscription: Subscription) -> Subscription:
    """Store a new subscription, whatever its ``number``, and give it with its own. Raises SubscriptionExists."""
    bump_version(connection, "subscriptions")
    if get(connection, box, subscription.id) is not None:
        raise SubscriptionExists(f"There is a subscription {subscription.id} already")
    values = {"id": subscription.id, "created_at": subscription.created_at, **_values(box, subscription)}
    result = connection.execute(insert(subscriptions).values(values).returning(subscriptions.c.number))
    return replace(subscription, number=result.scalar_one())


def change(
    connection: Connection,
    box: SecretBox,
    subscription_id: str,
    change: Callable[[Subscription], Subscription],
    tenant: str | None = None,
) -> Subscription:
    """Change a subscription as it is now, without losing what others change at the same time; give it as it is then.

    ``change`` gets the subscription and gives the new one; its number, id and age stay. ``tenant``: it must be this
    one's. Raises SubscriptionNotFound.
    """
    bump_version(connection, "subscriptions")
    before = get(connection, box, subscription_id)
    if before is None or (tenant is not None and before.tenant != tenant):
        raise not_found(subscription_id)
    after = change(before)
    connection.execute(
        update(subscriptions).where(subscriptions.c.number == before.number).values(_values(box, after))
    )
    return replace(after, number=before.number, id=before.id, created_at=before.created_at)


def delete(connection: Connection, subscription_id: str, now: datetime, tenant: str | None = None) -> int:
    """Delete a subscription and give its number: what is open for it is skipped, its records stay, its secrets go.

    Raises SubscriptionNotFound.
    """
    bump_version(connection, "subscriptions")
    query = (
        update(subscriptions)
        .where(subscriptions.c.id == subscription_id, subscriptions.c.deleted_at.is_(None))
        .values(deleted_at=now, updated_at=now, is_active=False, secrets=NOTHING)
    )
    if tenant is not None:
        query = query.where(subscriptions.c.tenant == tenant)
    number = connection.scalar(query.returning(subscriptions.c.number))
    if number is None:
        raise not_found(subscription_id)
    return int(number)


def get(connection: Connection, box: SecretBox, subscription_id: str) -> Subscription | None:
    """Give the subscription with that id, unless it was deleted. Raises InvalidSetting if no key opens its secrets."""
    row = connection.execute(_live().where(subscriptions.c.id == subscription_id)).one_or_none()
    return None if row is None else _subscription(box, row)


def listed(connection: Connection, box: SecretBox, subscription_id: str) -> ListedSubscription | None:
    """Give the subscription with that id as lists have it, unless it was deleted: whatever of it cannot be read."""
    row = connection.execute(_live().where(subscriptions.c.id == subscription_id)).one_or_none()
    return None if row is None else _listed(box, row)


def page(
    connection: Connection,
    box: SecretBox,
    limit: int = 50,
    cursor: str | None = None,
    tenant: str | None = None,
) -> Page[ListedSubscription]:
    """List subscriptions, newest first. Raises InvalidInput for a wrong limit or cursor."""
    query = _live().order_by(subscriptions.c.number.desc()).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(subscriptions.c.number < read_number_cursor(cursor))
    if tenant is not None:
        query = query.where(subscriptions.c.tenant == tenant)
    rows = connection.execute(query).all()
    items = tuple(_listed(box, row) for row in rows[:limit])
    return Page(items, cursor_after(items[-1].subscription.number) if len(rows) > limit else None)


def read_all(connection: Connection, box: SecretBox) -> list[ListedSubscription]:
    """Give all that are not deleted, oldest first: what a worker matches events with."""
    return [_listed(box, row) for row in connection.execute(_live().order_by(subscriptions.c.number))]


def changed_since(connection: Connection, box: SecretBox, since: datetime | None) -> list[ListedSubscription]:
    """Give those that were changed, created or deleted at or after ``since``; None: all that are not deleted."""
    query = _live() if since is None else select(subscriptions).where(subscriptions.c.updated_at >= since)
    return [_listed(box, row) for row in connection.execute(query)]


def disable(connection: Connection, number: int, reason: str, now: datetime) -> bool:
    """Switch a subscription off because of its receiver; False when it is off, or gone, already."""
    bump_version(connection, "subscriptions")
    change = (
        update(subscriptions)
        .where(
            subscriptions.c.number == number,
            subscriptions.c.deleted_at.is_(None),
            subscriptions.c.disabled_reason.is_(None),
        )
        .values(disabled_reason=reason, disabled_at=now, updated_at=now)
    )
    return bool(connection.execute(change).rowcount)


def with_parked(connection: Connection) -> list[int]:
    """Give the numbers of subscriptions, deleted ones too, that have parked deliveries."""
    is_parked = exists().where(
        # Written out, for a partial index serves only what is known to be within it.
        tasks.c.state == literal_column(f"{TaskState.PARKED:d}"),
        tasks.c.order_key.is_(None),
        tasks.c.kind == literal_column(f"{TaskKind.DELIVER:d}"),
        tasks.c.target == subscriptions.c.number,
    )
    return list(connection.scalars(select(subscriptions.c.number).where(is_parked)))


def by_numbers(
    connection: Connection, box: SecretBox, numbers: Collection[int]
) -> dict[int, ListedSubscription]:
    """Give subscriptions by number, deleted ones too: what is open for them still has to end."""
    query = select(subscriptions).where(subscriptions.c.number.in_(set(numbers)))
    return {row.number: _listed(box, row) for row in connection.execute(query)}


def ids_of(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """Give the ids of subscriptions by number, those of deleted ones too."""
    query = select(subscriptions.c.number, subscriptions.c.id).where(subscriptions.c.number.in_(set(numbers)))
    return {row.number: row.id for row in connection.execute(query)}


def numbers_of(
    connection: Connection, subscription_id: str, limit: int = 10, tenant: str | None = None
) -> list[int]:
    """Give the numbers of the subscriptions that have or had this id: the last ``limit``, the newest first.

    ``tenant``: only those of this one.
    """
    query = select(subscriptions.c.number).where(subscriptions.c.id == subscription_id)
    if tenant is not None:
        query = query.where(subscriptions.c.tenant == tenant)
    return list(connection.scalars(query.order_by(subscriptions.c.number.desc()).limit(limit)))


def with_credential(connection: Connection, name: str) -> list[str]:
    """Give the ids of the subscriptions that prove themselves with that credential, in order."""
    query = select(subscriptions.c.id, subscriptions.c.config).where(
        subscriptions.c.deleted_at.is_(None),
        subscriptions.c.config.contains(json.dumps(name), autoescape=True),
    )
    rows = connection.execute(query.order_by(subscriptions.c.id))
    return [row.id for row in rows if json.loads(row.config).get("credential") == name]


def health_of(connection: Connection, numbers: Iterable[int]) -> dict[int, Health]:
    """Give how the receivers of subscriptions are, by number; those that were never asked are well."""
    wanted = set(numbers)
    query = select(subscription_health).where(subscription_health.c.subscription.in_(wanted))
    found = {row.subscription: Health(**row._asdict()) for row in connection.execute(query)}
    return {number: found.get(number, Health(number)) for number in wanted}


def note_health(connection: Connection, noted: Sequence[Health]) -> None:
    """Store how receivers are from now on."""
    rows = [asdict(health) for health in sorted(noted, key=lambda each: each.subscription)]
    names = [field.name for field in fields(Health) if field.name != "subscription"]
    upsert(connection, subscription_health, rows, lambda excluded: {name: excluded[name] for name in names})


def add_test(connection: Connection, event: NewEvent, delivery: Delivery, outcome: Outcome) -> None:
    """Store a test event together with its only delivery, which has ended."""
    events.add(connection, event)
    connection.execute(insert(deliveries).values(_row(delivery)))
    connection.execute(insert(outcomes).values(_row(outcome)))


def not_found(subscription_id: str) -> SubscriptionNotFound:
    """The error for an id that no subscription has."""
    return SubscriptionNotFound(f"There is no subscription {subscription_id[:64]}")


def _row(record: Delivery | Outcome) -> dict[str, Any]:
    """The fields of a record, which are the columns of its table."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _live() -> Select[Any]:
    return select(subscriptions).where(subscriptions.c.deleted_at.is_(None))


def _values(box: SecretBox, subscription: Subscription) -> dict[str, Any]:
    """What may change."""
    return {
        "tenant": subscription.tenant,
        "name": subscription.name,
        "url": subscription.url,
        "events": json.dumps(subscription.events),
        "sources": json.dumps(subscription.sources),
        "config": json.dumps(stored_subscription_config(subscription.config)),
        "secrets": seal(box, subscription.secrets),
        "is_active": subscription.is_active,
        "is_verified": subscription.is_verified,
        "disabled_reason": subscription.disabled_reason,
        "disabled_at": subscription.disabled_at,
        "updated_at": subscription.updated_at,
    }


def _subscription(box: SecretBox, row: Row[Any]) -> Subscription:
    return _made(row, *configured.whole(box, row, row.id, read_subscription_config))


def _listed(box: SecretBox, row: Row[Any]) -> ListedSubscription:
    config, secrets, unreadable = configured.readable(
        box, row, read_subscription_config, SubscriptionConfig()
    )
    return ListedSubscription(_made(row, config, secrets), unreadable, row.deleted_at is not None)


def _made(row: Row[Any], config: SubscriptionConfig, secrets: tuple[Secret, ...]) -> Subscription:
    values = row._asdict()
    del values["deleted_at"]
    return Subscription(
        **values
        | {
            "config": config,
            "secrets": secrets,
            "events": tuple(json.loads(row.events)),
            "sources": tuple(json.loads(row.sources)),
        }
    )
