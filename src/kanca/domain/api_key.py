"""API keys: with one, a person or a program uses the management API.

A key is ``kanca_`` and 43 random characters. It is shown once; what is stored is its SHA-256, which is enough for what
has 256 random bits (a slow hash protects what people think up).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

PREFIX = "kanca_"
_HINT_LENGTH = len(PREFIX) + 6
"""So few characters that the rest is as good as all of it."""


class Role(StrEnum):
    """What a key is for. ``docs/reference/permissions.md`` says what each may."""

    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    PUBLISHER = "publisher"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key, without the key itself."""

    id: UUID
    name: str
    hint: str
    """How the key begins, to know it by."""
    role: Role
    tenant: str | None
    """What it is confined to; None: all tenants."""
    created_at: datetime
    created_by: str
    """``key_…`` of who made it, or how else it came about."""
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    """To the minute or so."""
    revoked_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


def new_key() -> str:
    """The text of a new key."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(text: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(text.encode()).digest()


def hint_of(text: str) -> str:
    """What is shown of a key."""
    return text[:_HINT_LENGTH] + "…"
