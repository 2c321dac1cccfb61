"""API keys: what they may, and hashes of them.

Every change first moves the version that gateways watch. That row is a lock, so that changes come one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select, update

from kanca.domain.api_key import ApiKey, Role
from kanca.domain.ids import KEY, show_id
from kanca.errors import ApiKeyNotFound
from kanca.storage import ended_sessions
from kanca.storage.pages import Page, check_limit, cursor_after, read_id_cursor
from kanca.storage.tables import api_keys
from kanca.storage.versions import bump_version, read_versions

_COLUMNS = [api_keys.c[field.name] for field in fields(ApiKey)]


class KnownKeys(NamedTuple):
    """All keys as they were at a version, by hash, and the sessions that somebody ended."""

    version: int
    by_digest: Mapping[bytes, ApiKey]
    ended_sessions: frozenset[UUID] = frozenset()


def create(connection: Connection, key: ApiKey, digest: bytes) -> None:
    """Store a new key."""
    bump_version(connection, "api_keys")
    connection.execute(insert(api_keys).values(asdict(key) | {"role": str(key.role), "digest": digest}))


def get(connection: Connection, key_id: UUID, tenant: str | None = None) -> ApiKey:
    """A key; with ``tenant``, one of that tenant. Raises ApiKeyNotFound."""
    row = connection.execute(select(*_COLUMNS).where(*_that(key_id, tenant))).one_or_none()
    if row is None:
        raise ApiKeyNotFound(f"There is no key {show_id(KEY, key_id)}.")
    return _key(row)


def page(
    connection: Connection, limit: int = 50, cursor: str | None = None, tenant: str | None = None
) -> Page[ApiKey]:
    """List keys, newest first, revoked ones too. Raises InvalidInput for a wrong limit or cursor."""
    query = select(*_COLUMNS).order_by(api_keys.c.id.desc()).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(api_keys.c.id < read_id_cursor(cursor))
    if tenant is not None:
        query = query.where(api_keys.c.tenant == tenant)
    found = [_key(row) for row in connection.execute(query)]
    items = tuple(found[:limit])
    return Page(items, cursor_after(items[-1].id) if len(found) > limit else None)


def change(
    connection: Connection, key_id: UUID, values: Mapping[str, Any], tenant: str | None = None
) -> ApiKey:
    """Give a key other values of ``name`` and ``expires_at``. Raises ApiKeyNotFound."""
    bump_version(connection, "api_keys")
    before = get(connection, key_id, tenant)
    if values:
        connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(dict(values)))
    return replace(before, **values)


def revoke(connection: Connection, key_id: UUID, now: datetime, tenant: str | None = None) -> ApiKey:
    """End a key for good; one that has ended so before stays as it is. Raises ApiKeyNotFound."""
    bump_version(connection, "api_keys")
    before = get(connection, key_id, tenant)
    if before.revoked_at is not None:
        return before
    connection.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=now))
    return replace(before, revoked_at=now)


def read_known(connection: Connection, known_version: int | None) -> KnownKeys | None:
    """All keys and ended sessions, unless their version is ``known_version``."""
    version = read_versions(connection).get("api_keys", 0)
    if version == known_version:
        return None
    rows: Sequence[Any] = connection.execute(select(*_COLUMNS, api_keys.c.digest)).all()
    by_digest = {bytes(row.digest): _key(row) for row in rows}
    return KnownKeys(version, by_digest, ended_sessions.read_all(connection))


def note_uses(connection: Connection, uses: Sequence[tuple[UUID, datetime]]) -> None:
    """Write down when keys were last used; who knows of a later use is right."""
    for key_id, used_at in sorted(uses):
        is_later = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < used_at)
        connection.execute(
            update(api_keys).where(api_keys.c.id == key_id, is_later).values(last_used_at=used_at)
        )


def _that(key_id: UUID, tenant: str | None) -> list[ColumnElement[bool]]:
    return [api_keys.c.id == key_id, *([] if tenant is None else [api_keys.c.tenant == tenant])]


def _key(row: Row[Any]) -> ApiKey:
    values = row._asdict()
    values.pop("digest", None)
    return ApiKey(**values | {"role": Role(row.role)})
