"""API keys as JSON: what is asked, and what is answered."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from kanca.api.fields import ChosenId, Moment, Name
from kanca.domain.api_key import ApiKey, Role
from kanca.domain.ids import KEY, show_id

_EXAMPLE: JsonDict = {
    "id": "key_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "name": "shop backend",
    "hint": "kanca_q7Jx0T…",
    "role": "publisher",
    "tenant": "acme",
    "created_at": "2026-03-01T12:00:00Z",
    "created_by": "admin_key",
    "expires_at": None,
    "last_used_at": "2026-03-02T08:15:30Z",
    "revoked_at": None,
    "is_valid": True,
}
_REQUEST: JsonDict = {"name": "shop backend", "role": "publisher", "tenant": "acme"}
_KEY: JsonDict = {"key": "kanca_q7Jx0TzN4vW2mLr8sYc1hKd6pBf3gEa9uQi5oRt7xVw"}


class KeyRequest(BaseModel):
    """What a new key is for."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_REQUEST]})

    name: Name = Field(description="Who or what has it.")
    role: Role = Field(description="What it may: `docs/reference/permissions.md` has the table.")
    tenant: ChosenId | None = Field(
        None,
        description="What it is confined to; left out, all tenants. Not `default`, which is no confinement.",
    )
    expires_at: Moment | None = Field(None, description="When its time is over; left out, never.")


class KeyChange(BaseModel):
    """What a key has otherwise from now on. Role and tenant stay as they are: make another key."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "shop, blue"}]})

    name: Name | None = None
    expires_at: Moment | None = Field(None, description="null: never.")


class KeyView(BaseModel):
    """An API key, without the key."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    name: str
    hint: str = Field(description="How it begins.")
    role: Role
    tenant: str | None = Field(description="What it is confined to; null: all tenants.")
    created_at: datetime
    created_by: str = Field(
        description="The key it was made with; `admin_key`, `local` (nobody is asked for a key) or `recovery`."
    )
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute or so; null: never.")
    revoked_at: datetime | None
    is_valid: bool = Field(description="It is neither revoked, nor is its time over.")


class KeyMade(KeyView):
    """A new key, with the key itself, which is shown only here."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE | _KEY]})

    key: str = Field(description="Sent as `Authorization: Bearer kanca_…`.")


class KeyPage(BaseModel):
    """Some keys, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXAMPLE], "next_cursor": None}]})

    items: list[KeyView]
    next_cursor: str | None


def key_view(key: ApiKey, now: datetime) -> KeyView:
    """A key as it is shown."""
    return KeyView(
        id=show_id(KEY, key.id),
        name=key.name,
        hint=key.hint,
        role=key.role,
        tenant=key.tenant,
        created_at=key.created_at,
        created_by=key.created_by,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        is_valid=key.revoked_at is None and not key.is_expired(now),
    )
