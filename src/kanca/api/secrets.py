"""``/api/secrets``: the key that stored secrets are encrypted with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field

from kanca.api.audit import About, Audited
from kanca.api.audited import SECRETS
from kanca.api.fields import Text
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.domain.ids import CHOSEN_ID
from kanca.errors import InvalidInput
from kanca.storage import sealed_secrets
from kanca.storage.pages import MAX_NUMBER, cursor_after, read_cursor
from kanca.storage.sealed_secrets import BEGINNING, Owner, Place, Sealed

router = resource("Secrets", "/api/secrets")

_AT_ONCE = 100
"""They are encrypted in a few milliseconds; webhooks wait that long."""
_NUMBER = re.compile(r"[0-9]{1,10}")


class KeyRotation(BaseModel):
    """Which secrets are encrypted anew."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit": 100}]})

    cursor: Text | None = Field(
        None, max_length=200, description="Where an earlier call ended; left out, the beginning."
    )
    limit: int = Field(_AT_ONCE, ge=1, le=500, description="Secrets that are looked at.")
    dry_run: bool = Field(False, description="Change nothing; only count.")


class KeyRotated(BaseModel):
    """What became of the secrets that were looked at. Those of an endpoint or a subscription count as one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reencrypted": 97,
                    "current": 3,
                    "older": 0,
                    "unreadable": 0,
                    "unreadable_endpoints": [],
                    "unreadable_credentials": [],
                    "unreadable_subscriptions": [],
                    "remaining": 412,
                    "next_cursor": "MTk5",
                }
            ]
        }
    )

    reencrypted: int = Field(description="Were under an older key, and are under the first one now.")
    current: int = Field(description="Were under the first key before.")
    older: int = Field(
        description="Are still under an older key: with `dry_run`, or because they changed at that moment."
    )
    unreadable: int = Field(description="No key opens them. They are left as they are.")
    unreadable_endpoints: list[str] = Field(description="Whose those are.")
    unreadable_credentials: list[str] = Field(description="Those of them that are credentials.")
    unreadable_subscriptions: list[str] = Field(description="Those of them that are of subscriptions.")
    remaining: int = Field(description="How many follow those that were looked at.")
    next_cursor: str | None = Field(description="Where to go on; null at the end.")


@router.post(
    "/rotate",
    summary="Encrypt stored secrets with the first key",
    operation_id="rotate_secret_key",
    responses=refused_with(InvalidInput),
)
async def rotate(
    services: Given, trail: Audited, rotation: Annotated[KeyRotation | None, Body()] = None
) -> KeyRotated:
    """Encrypt the next secrets with the first key of `KANCA_SECRET_KEY`; call it until `next_cursor` is null.

    Calling it again, from wherever, is harmless. Once all secrets are `current`, the older keys can go.
    """
    asked = rotation or KeyRotation()
    box, database = services.secret_box, services.database
    after = BEGINNING if asked.cursor is None else _read_place(asked.cursor)
    values, remaining = await database.read(sealed_secrets.read, after, asked.limit)
    found = sealed_secrets.by_key(box, values)
    reencrypted = 0
    if found.older and not asked.dry_run:
        anew = sealed_secrets.under_first_key(box, found.older)
        done = About[int]("secrets.reencrypted", SECRETS, detail=_count)
        reencrypted = await trail.write(done, sealed_secrets.replace, anew)
    return KeyRotated(
        reencrypted=reencrypted,
        current=len(found.current),
        older=len(found.older) - reencrypted,
        unreadable=len(found.unreadable),
        unreadable_endpoints=_names(found.unreadable, Owner.ENDPOINT),
        unreadable_credentials=_names(found.unreadable, Owner.CREDENTIAL),
        unreadable_subscriptions=_names(found.unreadable, Owner.SUBSCRIPTION),
        remaining=remaining,
        next_cursor=_cursor_after(values[-1].place) if remaining else None,
    )


def _count(count: int) -> dict[str, int] | None:
    return {"count": count} if count else None


def _names(values: Sequence[Sealed], owner: Owner) -> list[str]:
    return [sealed.name for sealed in values if sealed.place.owner is owner]


def _cursor_after(place: Place) -> str:
    return cursor_after(f"{place.owner} {place.key}")


def _read_place(cursor: str) -> Place:
    """Raises InvalidInput."""
    owner, _, key = read_cursor(cursor).partition(" ")
    if owner == Owner.CREDENTIAL and CHOSEN_ID.fullmatch(key):
        return Place(Owner.CREDENTIAL, key)
    if owner in (Owner.ENDPOINT, Owner.SUBSCRIPTION) and _NUMBER.fullmatch(key) and int(key) <= MAX_NUMBER:
        return Place(Owner(owner), int(key))
    raise InvalidInput("cursor is not one that an earlier call gave")
