"""Secrets as they lie in the database: those of an endpoint or a subscription as one sealed value, and each credential.

They are sealed anew when a key is replaced, and when secrets in them have ended. Neither takes a lock: a value is
replaced only where it is still the one that was read, so that nothing that people change meanwhile is lost.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, cast

from sqlalchemy import Column, Connection, delete, func, select, update

from kanca.domain.endpoint import RECEIVE_WEBHOOK_ID, Secret
from kanca.errors import InvalidSetting
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import credentials, endpoints, subscriptions
from kanca.storage.versions import Subject, bump_version

NOTHING = b""
"""What stands in the place of a sealed value where there are no secrets."""


class Owner(StrEnum):
    """What a sealed value belongs to."""

    ENDPOINT = "endpoint"
    CREDENTIAL = "credential"
    SUBSCRIPTION = "subscription"


class Place(NamedTuple):
    """Where a sealed value stands."""

    owner: Owner
    key: int | str
    """The number of an endpoint or a subscription, the name of a credential."""


BEGINNING = Place(Owner.ENDPOINT, -1)


class Sealed(NamedTuple):
    """The secrets of an endpoint or a subscription, or a credential, as they are stored."""

    place: Place
    name: str
    """The endpoint's or the subscription's id, or the credential's name."""
    value: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Store:
    """The table that has the values of one kind of owner."""

    owner: Owner
    key: Column[Any]
    name: Column[Any]
    value: Column[Any]
    updated_at: Column[Any]

    @property
    def is_sealed(self) -> Any:
        """Whether there is something in a row's value."""
        return self.value != NOTHING


_STORES = (
    _Store(
        Owner.ENDPOINT,
        endpoints.c.number,
        endpoints.c.webhook_id,
        endpoints.c.secrets,
        endpoints.c.updated_at,
    ),
    _Store(
        Owner.CREDENTIAL,
        credentials.c.name,
        credentials.c.name,
        credentials.c.sealed,
        credentials.c.updated_at,
    ),
    _Store(
        Owner.SUBSCRIPTION,
        subscriptions.c.number,
        subscriptions.c.id,
        subscriptions.c.secrets,
        subscriptions.c.updated_at,
    ),
)
"""In the order of their places."""
_SUBJECTS: dict[Owner, Subject] = {
    Owner.CREDENTIAL: "credentials",
    Owner.ENDPOINT: "endpoints",
    Owner.SUBSCRIPTION: "subscriptions",
}
"""What moves on when one of theirs is changed."""


class Anew(NamedTuple):
    """A sealed value that is to take another's place."""

    before: Sealed
    value: bytes


@dataclass(frozen=True, slots=True)
class ByKey:
    """Sealed values by the key that opens them."""

    current: tuple[Sealed, ...]
    """The first key does."""
    older: tuple[Sealed, ...]
    """Another key does."""
    unreadable: tuple[Sealed, ...]
    """No key does."""


def seal(box: SecretBox, secrets: Sequence[Secret]) -> bytes:
    """The secrets of an endpoint or a subscription as they are stored."""
    if not secrets:
        return NOTHING
    shown = [
        {"value": secret.value, "expires_at": secret.expires_at and secret.expires_at.isoformat()}
        for secret in secrets
    ]
    return box.seal(json.dumps(shown).encode())


def unseal(box: SecretBox, value: bytes) -> tuple[Secret, ...]:
    """The secrets in a stored value. Raises InvalidSetting when no key opens it."""
    if value == NOTHING:
        return ()
    return tuple(
        Secret(
            cast(str, shown["value"]),
            datetime.fromisoformat(shown["expires_at"]) if shown["expires_at"] else None,
        )
        for shown in json.loads(box.open(value))
    )


def read(connection: Connection, after: Place, limit: int) -> tuple[list[Sealed], int]:
    """Up to ``limit`` sealed values that come behind ``after``, in order; and how many follow them."""
    found: list[Sealed] = []
    for store, is_behind in _behind(after):
        query = select(store.key, store.name, store.value).where(is_behind).order_by(store.key)
        rows = connection.execute(query.limit(limit - len(found)))
        found += [Sealed(Place(store.owner, key), name, bytes(value)) for key, name, value in rows]
        if len(found) == limit:
            return found, _count_behind(connection, found[-1].place)
    return found, 0


def _behind(place: Place) -> list[tuple[_Store, Any]]:
    """The tables from that place on, each with what says that a row of it comes behind the place."""
    first = [store.owner for store in _STORES].index(place.owner)
    own, *others = _STORES[first:]
    return [(own, own.is_sealed & (own.key > place.key)), *((store, store.is_sealed) for store in others)]


def _count_behind(connection: Connection, place: Place) -> int:
    """How many sealed values come behind that place."""
    counts = (select(func.count()).where(is_behind) for _, is_behind in _behind(place))
    return sum(connection.scalar(count) or 0 for count in counts)


async def portions(database: Database, limit: int) -> AsyncIterator[list[Sealed]]:
    """All sealed values in order, at most ``limit`` in one reading. Raises DatabaseUnavailable."""
    after, remaining = BEGINNING, 1
    while remaining:
        values, remaining = await database.read(read, after, limit)
        if values:
            after = values[-1].place
            yield values


def by_key(box: SecretBox, values: Sequence[Sealed]) -> ByKey:
    """Say which key opens each of the values."""
    current: list[Sealed] = []
    older: list[Sealed] = []
    unreadable: list[Sealed] = []
    for sealed in values:
        try:
            (current if box.is_current(sealed.value) else older).append(sealed)
        except InvalidSetting:
            unreadable.append(sealed)
    return ByKey(tuple(current), tuple(older), tuple(unreadable))


def under_first_key(box: SecretBox, values: Sequence[Sealed]) -> list[Anew]:
    """The same secrets, sealed with the first key. Raises InvalidSetting when no key opens one of them."""
    return [Anew(sealed, box.seal(box.open(sealed.value))) for sealed in values]


def without_ended(box: SecretBox, values: Sequence[Sealed], now: datetime) -> list[Anew]:
    """Those of the values in which secrets ended before ``now``, sealed without these. Unreadable ones stay.

    Credentials do not end.
    """
    anew = []
    found = by_key(box, [sealed for sealed in values if sealed.place.owner is not Owner.CREDENTIAL])
    for sealed in found.current + found.older:
        secrets = unseal(box, sealed.value)
        live = [secret for secret in secrets if secret.expires_at is None or secret.expires_at > now]
        if len(live) < len(secrets):
            anew.append(Anew(sealed, seal(box, live)))
    return anew


def replace(connection: Connection, anew: Sequence[Anew]) -> int:
    """Store the new values where the old ones still are; gives how many that were."""
    return sum(_replace(connection, before, value) for before, value in anew)


def _replace(connection: Connection, before: Sealed, value: bytes) -> int:
    store = next(store for store in _STORES if store.owner is before.place.owner)
    change = update(store.key.table).where(store.key == before.place.key, store.value == before.value)
    return connection.execute(change.values({store.value: value})).rowcount


def tenant_of(connection: Connection, place: Place) -> str | None:
    """The tenant of what a sealed value belongs to; credentials have none."""
    table = {Owner.ENDPOINT: endpoints, Owner.SUBSCRIPTION: subscriptions}.get(place.owner)
    return (
        None
        if table is None
        else connection.scalar(select(table.c.tenant).where(table.c.number == place.key))
    )


def forget(connection: Connection, values: Sequence[Sealed]) -> int:
    """Take these values away where they still are as they were read; gives how many that were. Processes notice.

    Endpoints and subscriptions have no secrets then, and credentials are no more.
    """
    owners = sorted({sealed.place.owner for sealed in values})
    for owner in owners:
        bump_version(connection, _SUBJECTS[owner])
    return sum(_forget(connection, sealed) for sealed in values)


def _forget(connection: Connection, sealed: Sealed) -> int:
    if sealed.place.owner is not Owner.CREDENTIAL:
        return _replace(connection, sealed, NOTHING)
    is_that = credentials.c.name == sealed.place.key, credentials.c.sealed == sealed.value
    return connection.execute(delete(credentials).where(*is_that)).rowcount


def check_keys(connection: Connection, box: SecretBox) -> None:
    """Make sure that the box opens what is stored, as far as a few samples tell. Raises InvalidSetting.

    The samples are the secrets that were changed last (another instance may have a key that is missing here) and those
    that are sealed anew first and last when a key is replaced (that may not have come to its end). Where nothing is
    stored yet, something is: sealed, without a secret in it, so that no second instance starts with another key.
    """
    samples = _samples(connection)
    if not samples:
        connection.execute(
            update(endpoints)
            .where(endpoints.c.webhook_id == RECEIVE_WEBHOOK_ID, endpoints.c.secrets == NOTHING)
            .values(secrets=box.seal(b"[]"))
        )
        samples = _samples(connection)
    for value in samples:
        box.open(value)


def _samples(connection: Connection) -> set[bytes]:
    queries = [
        select(store.value).where(store.is_sealed).order_by(order).limit(1)
        for store in _STORES
        for order in (store.key, store.key.desc(), store.updated_at.desc())
    ]
    return {bytes(value) for query in queries if (value := connection.scalar(query)) is not None}
