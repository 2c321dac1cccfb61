"""Secrets as they lie in the database: those of each endpoint as one sealed value, and each credential as one.

They are sealed anew when a key is replaced, and when secrets in them have ended. Neither takes a lock: a value is
replaced only where it is still the one that was read, so that nothing that people change meanwhile is lost.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, cast

from sqlalchemy import Connection, func, select, update

from kanca.domain.endpoint import RECEIVE_WEBHOOK_ID, Secret
from kanca.errors import InvalidSetting
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import credentials, endpoints

NOTHING = b""
"""What stands in the place of a sealed value where there are no secrets."""

Place = int | str
"""Where a sealed value stands: the number of an endpoint, or the name of a credential; those come behind."""
BEGINNING: Place = -1

_IS_SEALED = endpoints.c.secrets != NOTHING


class Sealed(NamedTuple):
    """The secrets of an endpoint, or a credential, as they are stored."""

    place: Place
    name: str
    """The endpoint's id, or the credential's name."""
    value: bytes

    @property
    def is_of_endpoint(self) -> bool:
        """Else it is a credential."""
        return isinstance(self.place, int)


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
    """The secrets of an endpoint as they are stored."""
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
    if isinstance(after, int):
        columns = endpoints.c.number, endpoints.c.webhook_id, endpoints.c.secrets
        query = select(*columns).where(_IS_SEALED, endpoints.c.number > after)
        rows = connection.execute(query.order_by(endpoints.c.number).limit(limit)).all()
        found += [Sealed(number, webhook_id, bytes(value)) for number, webhook_id, value in rows]
    if len(found) < limit:
        name = credentials.c.name
        behind = name > ("" if isinstance(after, int) else after)
        named = select(name, credentials.c.sealed).where(behind).order_by(name).limit(limit - len(found))
        found += [Sealed(name, name, bytes(value)) for name, value in connection.execute(named)]
    return found, _behind(connection, found[-1].place) if len(found) == limit else 0


def _behind(connection: Connection, place: Place) -> int:
    """How many sealed values come behind that place."""
    query = select(func.count()).select_from(credentials)
    if isinstance(place, str):
        return connection.scalar(query.where(credentials.c.name > place)) or 0
    of_endpoints = select(func.count()).where(_IS_SEALED, endpoints.c.number > place)
    return (connection.scalar(of_endpoints) or 0) + (connection.scalar(query) or 0)


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
    found = by_key(box, [sealed for sealed in values if sealed.is_of_endpoint])
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
    if before.is_of_endpoint:
        change = update(endpoints).where(
            endpoints.c.number == before.place, endpoints.c.secrets == before.value
        )
        return connection.execute(change.values(secrets=value)).rowcount
    change = update(credentials).where(
        credentials.c.name == before.place, credentials.c.sealed == before.value
    )
    return connection.execute(change.values(sealed=value)).rowcount


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
    orders = (endpoints.c.number, endpoints.c.number.desc(), endpoints.c.updated_at.desc())
    names = (credentials.c.name, credentials.c.name.desc(), credentials.c.updated_at.desc())
    queries = [
        *(select(endpoints.c.secrets).where(_IS_SEALED).order_by(order).limit(1) for order in orders),
        *(select(credentials.c.sealed).order_by(order).limit(1) for order in names),
    ]
    return {bytes(value) for query in queries if (value := connection.scalar(query)) is not None}
