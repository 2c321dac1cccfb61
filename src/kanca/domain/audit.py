"""What is written down of every change and every look at a secret: who, what, and how it was before and is after.

A secret cannot get in by mistake: whoever reads a thing for the audit log wraps what may not be shown in ``Hidden``,
which can be compared, and says nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

REDACTED = "[redacted]"
MAX_VALUE_LENGTH = 4_000
"""Characters of one value, as JSON: of a longer one only its length and its hash are kept."""
_MISSING = object()


class ActorKind(StrEnum):
    """What somebody has shown to be let in."""

    ADMIN_KEY = "admin_key"
    API_KEY = "api_key"
    TENANT = "tenant"
    """A portal token of the tenant ``id``."""
    LOOPBACK = "loopback"
    """Nothing: a process of this machine, where management needs no key."""
    SYSTEM = "system"
    """Kanca itself: ``id`` says which part of it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it."""

    kind: ActorKind
    id: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        """``admin_key``, ``tenant acme``."""
        return self.kind if self.id is None else f"{self.kind} {self.id}"


@dataclass(frozen=True, slots=True)
class Hidden:
    """A value that is compared and never shown; ``shown_as`` stands for it."""

    value: object = field(repr=False)
    shown_as: str = field(default=REDACTED, compare=False)


@dataclass(frozen=True, slots=True)
class State:
    """A thing at a moment: whose it is, and its fields as JSON has them, with ``Hidden`` for what nobody may read."""

    tenant: str | None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit log."""

    id: UUID
    at: datetime
    actor: Actor
    action: str
    """``endpoint.changed``: a kind of thing, and what became of it."""
    subject_kind: str
    subject_id: str | None
    """None: no thing of its own, such as all stored secrets."""
    tenant: str | None
    address: str | None
    """Where the request came from."""
    request_id: str | None
    """What the caller called the request: ``X-Request-Id``."""
    before: Mapping[str, Any] | None
    """The fields that changed, as they were; None when there was no such thing, or nothing changed."""
    after: Mapping[str, Any] | None
    detail: Mapping[str, Any]
    """What else there is to say: how many, which event was made."""


def by_itself(
    part: str,
    identifier: UUID,
    at: datetime,
    action: str,
    subject: tuple[str, str],
    tenant: str | None,
    *,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
) -> AuditEntry:
    """The entry of a change that a ``part`` of Kanca made and nobody asked for. ``subject`` is a kind and an id."""
    was, is_now = changes(before, after)
    return AuditEntry(
        id=identifier,
        at=at,
        actor=Actor(ActorKind.SYSTEM, part),
        action=action,
        subject_kind=subject[0],
        subject_id=subject[1],
        tenant=tenant,
        address=None,
        request_id=None,
        before=was,
        after=is_now,
        detail={},
    )


def changes(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """What is different in two states of a thing, on both sides, ready to be stored: without any hidden value.

    Objects are compared member by member, everything else as a whole. None is a thing that is not there: then the other
    side is all of it.
    """
    if before is None or after is None:
        return _whole(before), _whole(after)
    was, is_now = _different(before, after)
    return was or None, is_now or None


def _different(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    was: dict[str, Any] = {}
    is_now: dict[str, Any] = {}
    for key in sorted({*before, *after}):
        old, new = before.get(key, _MISSING), after.get(key, _MISSING)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            was[key], is_now[key] = _different(old, new)
            continue
        if old is not _MISSING:
            was[key] = shown(old)
        if new is not _MISSING:
            is_now[key] = shown(new)
    return was, is_now


def _whole(state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if state is None else {key: shown(value) for key, value in state.items()}


def shown(value: Any) -> Any:
    """A value as it may be stored: what is hidden is not in it, and what is very long is not there in full."""
    if isinstance(value, Mapping):
        return {key: shown(member) for key, member in value.items()}
    plain = _plain(value)
    text = json.dumps(plain)
    if len(text) <= MAX_VALUE_LENGTH:
        return plain
    return f"[{len(text)} characters, SHA-256 {hashlib.sha256(text.encode()).hexdigest()}]"


def _plain(value: Any) -> Any:
    match value:
        case Hidden():
            return value.shown_as
        case Mapping():
            return {key: _plain(member) for key, member in value.items()}
        case list() | tuple():
            return [_plain(member) for member in value]
        case datetime():
            return value.isoformat()
        case _:
            return value
