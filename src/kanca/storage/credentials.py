"""Credentials, encrypted.

Every change first moves the version that workers watch. That row is a lock, so that changes come one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, or_, select, update

from kanca.domain.credential import Credential, credential_not_found, read_credential
from kanca.storage.pages import Page, check_limit, cursor_after, read_cursor
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import credentials, workflow_versions, workflows
from kanca.storage.versions import bump_version

_COLUMNS = credentials.c.name, credentials.c.kind, credentials.c.created_at, credentials.c.updated_at


@dataclass(frozen=True, slots=True)
class NamedCredential:
    """A credential, without what it consists of."""

    name: str
    kind: str
    created_at: datetime
    updated_at: datetime


class Definition(NamedTuple):
    """What a workflow is now, or as it is published."""

    workflow_id: str
    definition: str
    """JSON."""


def put(
    connection: Connection, box: SecretBox, credential: Credential, now: datetime
) -> tuple[NamedCredential, bool]:
    """Store a credential, in the place of another of that name; gives it, and whether it is new."""
    bump_version(connection, "credentials")
    values = {
        "kind": str(credential.kind),
        "sealed": box.seal(json.dumps(dict(credential.values)).encode()),
        "updated_at": now,
    }
    is_same = credentials.c.name == credential.name
    is_new = not connection.execute(update(credentials).where(is_same).values(values)).rowcount
    if is_new:
        connection.execute(insert(credentials).values(values | {"name": credential.name, "created_at": now}))
    return describe(connection, credential.name), is_new


def get(connection: Connection, box: SecretBox, name: str) -> Credential:
    """A credential in clear. Raises CredentialNotFound, and InvalidSetting when no key opens it."""
    row = connection.execute(
        select(credentials.c.kind, credentials.c.sealed).where(credentials.c.name == name)
    ).one_or_none()
    if row is None:
        raise credential_not_found(name)
    return read_credential(name, row.kind, json.loads(box.open(bytes(row.sealed))))


def describe(connection: Connection, name: str) -> NamedCredential:
    """A credential, without what it consists of. Raises CredentialNotFound."""
    row = connection.execute(select(*_COLUMNS).where(credentials.c.name == name)).one_or_none()
    if row is None:
        raise credential_not_found(name)
    return NamedCredential(**row._asdict())


def page(connection: Connection, limit: int = 50, cursor: str | None = None) -> Page[NamedCredential]:
    """List credentials by name. Raises InvalidInput for a wrong limit or cursor."""
    query = select(*_COLUMNS).order_by(credentials.c.name).limit(check_limit(limit) + 1)
    if cursor is not None:
        query = query.where(credentials.c.name > read_cursor(cursor))
    rows = [NamedCredential(**row._asdict()) for row in connection.execute(query)]
    items = tuple(rows[:limit])
    return Page(items, cursor_after(items[-1].name) if len(rows) > limit else None)


def remove(connection: Connection, name: str) -> None:
    """Delete a credential, whoever uses it. Raises CredentialNotFound."""
    bump_version(connection, "credentials")
    if not connection.execute(delete(credentials).where(credentials.c.name == name)).rowcount:
        raise credential_not_found(name)


def existing(connection: Connection, names: Collection[str]) -> frozenset[str]:
    """Those of the names that credentials have. Until the end of the transaction none of these is deleted."""
    return frozenset(kinds(connection, names))


def kinds(connection: Connection, names: Collection[str]) -> dict[str, str]:
    """The kinds of those that there are. Until the end of the transaction none of these is deleted or replaced."""
    if not names:
        return {}
    query = select(credentials.c.name, credentials.c.kind).where(credentials.c.name.in_(sorted(names)))
    rows = connection.execute(query.order_by(credentials.c.name).with_for_update(read=True))
    return {row.name: row.kind for row in rows}


def definitions_with(connection: Connection, text: str) -> list[Definition]:
    """The definitions of all workflows, newest and published, that have the JSON text ``text`` somewhere in them."""
    is_current = or_(
        workflow_versions.c.version == workflows.c.version,
        workflow_versions.c.version == workflows.c.published_version,
    )
    query = (
        select(workflows.c.id, workflow_versions.c.definition)
        .join(workflow_versions, workflow_versions.c.workflow_id == workflows.c.id)
        .where(is_current, workflow_versions.c.definition.contains(text, autoescape=True))
        .order_by(workflows.c.id)
    )
    return [Definition(*row) for row in connection.execute(query)]
