"""``/api/secrets``: the key that stored secrets are encrypted with."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field

from kanca.api.audit import audit
from kanca.api.fields import Text
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.domain.ids import CHOSEN_ID
from kanca.errors import InvalidInput
from kanca.storage import sealed_secrets
from kanca.storage.pages import cursor_after, read_cursor, read_number_cursor
from kanca.storage.sealed_secrets import BEGINNING, Place

router = resource("Secrets", "/api/secrets")

_AT_ONCE = 100
"""They are encrypted in a few milliseconds; webhooks wait that long."""
_OF_CREDENTIALS = "credential "
"""What the cursor of a place among the credentials begins with; those of endpoints are numbers."""


class KeyRotation(BaseModel):
    """Which secrets are encrypted anew."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit": 100}]})

    cursor: Text | None = Field(
        None, max_length=200, description="Where an earlier call ended; left out, the beginning."
    )
    limit: int = Field(_AT_ONCE, ge=1, le=500, description="Secrets that are looked at.")
    dry_run: bool = Field(False, description="Change nothing; only count.")


class KeyRotated(BaseModel):
    """What became of the secrets that were looked at. Those of an endpoint count as one, and so does a credential."""

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
    remaining: int = Field(description="How many follow those that were looked at.")
    next_cursor: str | None = Field(description="Where to go on; null at the end.")


@router.post(
    "/rotate",
    summary="Encrypt stored secrets with the first key",
    operation_id="rotate_secret_key",
    responses=refused_with(InvalidInput),
)
async def rotate(services: Given, rotation: Annotated[KeyRotation | None, Body()] = None) -> KeyRotated:
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
        reencrypted = await database.write(sealed_secrets.replace, anew)
        audit("secrets.reencrypted", "secrets", count=reencrypted)
    return KeyRotated(
        reencrypted=reencrypted,
        current=len(found.current),
        older=len(found.older) - reencrypted,
        unreadable=len(found.unreadable),
        unreadable_endpoints=[sealed.name for sealed in found.unreadable if sealed.is_of_endpoint],
        unreadable_credentials=[sealed.name for sealed in found.unreadable if not sealed.is_of_endpoint],
        remaining=remaining,
        next_cursor=_cursor_after(values[-1].place) if remaining else None,
    )


def _cursor_after(place: Place) -> str:
    return cursor_after(f"{_OF_CREDENTIALS}{place}" if isinstance(place, str) else place)


def _read_place(cursor: str) -> Place:
    """Raises InvalidInput."""
    text = read_cursor(cursor)
    name = text.removeprefix(_OF_CREDENTIALS)
    return name if name != text and CHOSEN_ID.fullmatch(name) else read_number_cursor(cursor)
