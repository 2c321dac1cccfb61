"""The ways back in: what works on the database itself, when no server lets anybody in, or none can start."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from kanca.domain.api_key import ApiKey, Role, digest_of, hint_of, new_key
from kanca.domain.audit import Hidden, by_itself
from kanca.domain.endpoint import BUILT_IN_IDS
from kanca.domain.ids import KEY, IdFactory, show_id
from kanca.errors import Unavailable
from kanca.settings import Settings
from kanca.storage import api_keys, audit, sealed_secrets
from kanca.storage.dialects import open_database
from kanca.storage.migrating import schema_of
from kanca.storage.ports import Database
from kanca.storage.sealed_secrets import Owner, Sealed
from kanca.storage.secret_box import load_secret_box
from kanca.storage.standing import Standing

BY_RECOVERY = "recovery"
"""Who made such a key."""
AT_ONCE = 100


class AdminKey(NamedTuple):
    """A new key, and its id as it is shown."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What no key opens: endpoints and subscriptions by id, credentials by name."""

    count: int
    """Of all, also of what nobody has to set anew: a sealed value of ours that tells the right key."""
    endpoints: tuple[str, ...]
    subscriptions: tuple[str, ...]
    credentials: tuple[str, ...]


async def make_admin_key(
    settings: Settings, name: str, expires_at: datetime | None, now: datetime
) -> AdminKey:
    """Make an API key that may do everything. Raises DatabaseUnavailable, Unavailable."""
    text = new_key()
    key = ApiKey(
        id=IdFactory().new(),
        name=name,
        hint=hint_of(text),
        role=Role.ADMIN,
        tenant=None,
        created_at=now,
        created_by=BY_RECOVERY,
        expires_at=expires_at,
    )
    async with _opened(settings) as database:
        await database.write(_store, key, digest_of(text), IdFactory().new())
    return AdminKey(show_id(KEY, key.id), text)


def _store(connection: Connection, key: ApiKey, digest: bytes, entry_id: UUID) -> None:
    api_keys.create(connection, key, digest)
    made = {"name": key.name, "role": str(key.role), "expires_at": key.expires_at}
    audit.add(
        connection,
        by_itself(
            BY_RECOVERY,
            entry_id,
            key.created_at,
            "key.created",
            ("key", show_id(KEY, key.id)),
            None,
            before=None,
            after=made,
        ),
    )


async def forget_unreadable(settings: Settings, now: datetime, *, is_real: bool) -> Unreadable:
    """Take away all stored secrets that none of the keys opens; unless ``is_real``, only say which.

    The audit log has an entry of each.

    Raises InvalidSetting, DatabaseUnavailable, Unavailable.
    """
    box = load_secret_box(settings)
    found: list[Sealed] = []
    async with _opened(settings) as database:
        async for values in sealed_secrets.portions(database, AT_ONCE):
            unreadable = sealed_secrets.by_key(box, values).unreadable
            if is_real and unreadable:
                await database.write(_forget, unreadable, now, IdFactory().new)
            found += unreadable
    return Unreadable(
        count=len(found),
        endpoints=_names(found, Owner.ENDPOINT),
        subscriptions=_names(found, Owner.SUBSCRIPTION),
        credentials=_names(found, Owner.CREDENTIAL),
    )


def _forget(
    connection: Connection, values: Sequence[Sealed], now: datetime, new_id: Callable[[], UUID]
) -> None:
    for sealed in values:
        tenant = sealed_secrets.tenant_of(connection, sealed.place)
        if sealed_secrets.forget(connection, [sealed]):
            subject = sealed.place.owner.value, sealed.name
            was = {"secrets": Hidden(sealed.value)}
            entry = by_itself(
                BY_RECOVERY,
                new_id(),
                now,
                f"{sealed.place.owner}.secret_forgotten",
                subject,
                tenant,
                before=was,
                after={"secrets": []},
            )
            audit.add(connection, entry)


def _names(found: list[Sealed], owner: Owner) -> tuple[str, ...]:
    return tuple(
        sealed.name for sealed in found if sealed.place.owner is owner and sealed.name not in BUILT_IN_IDS
    )


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    database = await open_database(settings.database_url)
    try:
        if (await database.read(schema_of)).standing in (Standing.MISSING, Standing.BEHIND):
            raise Unavailable("The schema of the database is not current: run `kanca migrate` first.")
        yield database
    finally:
        await database.close()
