"""Who changed or saw what: an entry of the audit log, and a log line, for every change and every secret shown.

A route that changes something asks for a ``Trail`` and makes the change through it, so that both are in one
transaction: a change that cannot be written down does not happen, and what is written down has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Concatenate, Generic, ParamSpec, TypeVar

import structlog
from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from sqlalchemy import Connection

from kanca.api.audited import Kind
from kanca.api.callers import Caller, Proof, caller_of
from kanca.api.services import Services, services_of
from kanca.domain.audit import Actor, ActorKind, AuditEntry, State, changes, shown
from kanca.domain.ids import KEY, show_id
from kanca.storage import audit

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger("kanca.audit")
_LONGEST_REQUEST_ID = 128


def _no_detail(_result: Any) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class About(Generic[T]):
    """What an entry says of a change whose function gives a ``T``."""

    action: str | Callable[[T], str]
    kind: Kind[Any]
    key: Any = None
    """What names the thing."""
    made: Callable[[T], Any] | None = None
    """What names the thing that the change makes: there was none before."""
    detail: Callable[[T], Mapping[str, Any] | None] = _no_detail
    """What else there is to say; None: nothing was changed, and nothing is written down."""


Record = Callable[[About[Any], Callable[[Connection], Any]], Any]
"""Makes one of several changes, and writes it down."""


def actor_of(caller: Caller) -> Actor:
    """Who an entry says it was."""
    match caller.proof:
        case Proof.PORTAL_TOKEN:
            return Actor(ActorKind.TENANT, caller.tenant)
        case Proof.API_KEY if caller.key_id is not None:
            return Actor(ActorKind.API_KEY, show_id(KEY, caller.key_id), caller.name)
        case Proof.ADMIN_KEY:
            return Actor(ActorKind.ADMIN_KEY)
    return Actor(ActorKind.LOOPBACK)


class Trail:
    """Makes the changes of one request, and writes each down."""

    def __init__(
        self, services: Services, actor: Actor, address: str | None, request_id: str | None = None
    ) -> None:
        self._services = services
        self._actor = actor
        self._address = address
        self._request_id = request_id

    async def write(
        self,
        about: About[T],
        change: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run a changing function as ``Database.write`` does, with its entry in the same transaction."""
        made = partial(_change, change, args, kwargs)
        result, entry = await self._services.database.write(self._recorded, about, made)
        if entry is not None:
            _tell(entry)
        return result

    async def write_all(
        self, change: Callable[Concatenate[Connection, Record, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function that makes several changes in one transaction, each through its ``Record``."""
        result, entries = await self._services.database.write(
            self._recorded_all, partial(_change_all, change, args, kwargs)
        )
        for entry in entries:
            _tell(entry)
        return result

    async def note(self, action: str, kind: Kind[Any], key: Any = None, **detail: Any) -> None:
        """Write down what is about to happen, and is no change of the database: a secret is shown, a request sent.

        Raises DatabaseUnavailable: then it must not happen.
        """
        entry = await self._services.database.write(self._noted, action, kind, key, detail)
        _tell(entry)

    def _recorded_all(
        self, connection: Connection, change: Callable[[Connection, Record], T]
    ) -> tuple[T, list[AuditEntry]]:
        entries: list[AuditEntry] = []

        def record(about: About[Any], make: Callable[[Connection], Any]) -> Any:
            result, entry = self._recorded(connection, about, make)
            if entry is not None:
                entries.append(entry)
            return result

        return change(connection, record), entries

    def _noted(
        self,
        connection: Connection,
        action: str,
        kind: Kind[Any],
        key: Any,
        detail: Mapping[str, Any],
    ) -> AuditEntry:
        state = kind.read(connection, self._services.secret_box, key)
        entry = self._entry(action, kind, key, state, state, detail)
        audit.add(connection, entry)
        return entry

    def _recorded(
        self, connection: Connection, about: About[T], change: Callable[[Connection], T]
    ) -> tuple[T, AuditEntry | None]:
        box = self._services.secret_box
        key, before = about.key, None
        if about.made is None:
            about.kind.hold(connection)
            before = about.kind.read(connection, box, key)
        result = change(connection)
        detail = about.detail(result)
        if detail is None:
            return result, None
        if about.made is not None:
            key = about.made(result)
        after = about.kind.read(connection, box, key)
        action = about.action if isinstance(about.action, str) else about.action(result)
        entry = self._entry(action, about.kind, key, before, after, detail)
        audit.add(connection, entry)
        return result, entry

    def _entry(
        self,
        action: str,
        kind: Kind[Any],
        key: Any,
        before: State | None,
        after: State | None,
        detail: Mapping[str, Any],
    ) -> AuditEntry:
        was, is_now = changes(
            None if before is None else before.fields, None if after is None else after.fields
        )
        state = after or before
        return AuditEntry(
            id=self._services.ids.new(),
            at=self._services.now(),
            actor=self._actor,
            action=action,
            subject_kind=kind.name,
            subject_id=None if key is None else kind.show(key),
            tenant=None if state is None else state.tenant,
            address=self._address,
            request_id=self._request_id,
            before=was,
            after=is_now,
            detail=shown(detail),
        )


def trail_of(request: Request) -> Trail:
    """The trail of a request."""
    services = services_of(request)
    return Trail(
        services,
        actor_of(caller_of(request)),
        services.address_of(request.scope),
        _request_id(request.headers.get("x-request-id", "")),
    )


Audited = Annotated[Trail, Depends(trail_of)]
"""The parameter of a route that changes something, or shows a secret."""


def is_audited(dependant: Dependant) -> bool:
    """Whether a route has such a parameter."""
    return dependant.call is trail_of or any(map(is_audited, dependant.dependencies))


def _request_id(text: str) -> str | None:
    """What the caller calls its request, if that can be stored and read."""
    return text if text and len(text) <= _LONGEST_REQUEST_ID and text.isprintable() else None


def _change(
    change: Callable[Concatenate[Connection, P], T], args: Any, kwargs: Any, connection: Connection
) -> T:
    return change(connection, *args, **kwargs)


def _change_all(
    change: Callable[Concatenate[Connection, Record, P], T],
    args: Any,
    kwargs: Any,
    connection: Connection,
    record: Record,
) -> T:
    return change(connection, record, *args, **kwargs)


def _tell(entry: AuditEntry) -> None:
    _log.info(
        "audit",
        action=entry.action,
        subject=entry.subject_id or entry.subject_kind,
        actor=str(entry.actor),
        tenant=entry.tenant,
        **_changed_fields(entry),
        **entry.detail,
    )


def _changed_fields(entry: AuditEntry) -> dict[str, list[str]]:
    """The names of what changed in a thing that was there before and is there still."""
    if entry.before is None or entry.after is None:
        return {}
    return {"fields": sorted(_names(entry.before) | _names(entry.after))}


def _names(fields: Mapping[str, Any]) -> set[str]:
    """What the fields are called; those of a config each with a name of its own."""
    names: set[str] = set()
    for name, value in fields.items():
        names |= {f"{name}.{key}" for key in value} if name == "config" else {name}
    return names
