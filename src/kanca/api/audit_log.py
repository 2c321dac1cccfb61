"""``/api/audit``: who changed what, and who saw a secret."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from kanca.api.fields import AuditIdPath, ChosenId, Moment, Text
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.domain.audit import ActorKind, AuditEntry
from kanca.domain.ids import AUDIT, show_id
from kanca.errors import AuditEntryNotFound, InvalidInput
from kanca.storage import audit
from kanca.storage.audit import AuditFilter
from kanca.storage.pages import MAX_LIMIT

router = resource("Audit", "/api/audit")

_EXAMPLE: JsonDict = {
    "id": "aud_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "at": "2026-03-01T12:00:00Z",
    "actor": {"kind": "admin_key", "id": None, "name": None},
    "action": "endpoint.changed",
    "subject": {"kind": "endpoint", "id": "wh_3f0c2a9d84b1e7c65a20d9f4"},
    "tenant": "default",
    "address": "192.0.2.7",
    "request_id": None,
    "before": {"config": {"max_payload_size": 1024}},
    "after": {"config": {"max_payload_size": 2048}},
    "detail": {},
}


class AuditSearch(BaseModel):
    """Which entries; what is left out does not matter."""

    model_config = ConfigDict(extra="forbid")

    actor: Text | None = Field(
        None, max_length=200, description="The kind, the id or the name of who did it."
    )
    action: Text | None = Field(
        None, max_length=100, description="`endpoint.changed`, or `endpoint.*` for all that begin so."
    )
    subject: Text | None = Field(
        None, max_length=200, description="The id of what it was done to, or its kind."
    )
    tenant: ChosenId | None = Field(None, description="Whose that is.")
    since: Moment | None = None
    until: Moment | None = Field(None, description="This moment itself is not in it.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="The most items of a page.")
    cursor: Text | None = Field(None, max_length=200, description="`next_cursor` of the page before.")


class AuditActor(BaseModel):
    """Who did it."""

    kind: ActorKind = Field(
        description="What they have shown: the admin key, an API key, a tenant's portal token; `loopback` for nothing,"
        " where management needs no key; `system` for Kanca itself."
    )
    id: str | None
    name: str | None


class AuditSubject(BaseModel):
    """What it was done to."""

    kind: str
    id: str | None = Field(description="Null where it was done to many.")


class AuditEntryView(BaseModel):
    """One change, or one look at a secret."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    at: datetime
    actor: AuditActor
    action: str
    subject: AuditSubject
    tenant: str | None = Field(description="Whose that is.")
    address: str | None = Field(description="Where the request came from.")
    request_id: str | None = Field(description="The request's `X-Request-Id`.")
    before: dict[str, Any] | None = Field(
        description="The fields that changed, as they were; null when there was no such thing, or nothing changed."
        " Secrets are `[redacted]`."
    )
    after: dict[str, Any] | None = Field(description="The same, as they were from then on.")
    detail: dict[str, Any] = Field(description="What else there is to say of it.")


class AuditPage(BaseModel):
    """Some entries, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_EXAMPLE], "next_cursor": None}]})

    items: list[AuditEntryView]
    next_cursor: str | None = Field(description="Where the next page begins; null at the end.")


@router.get("", summary="List audit entries", operation_id="list_audit", responses=refused_with(InvalidInput))
async def list_all(services: Given, search: Annotated[AuditSearch, Query()]) -> AuditPage:
    """List what was changed, and which secrets were shown, the newest first."""
    wanted = AuditFilter(**search.model_dump(exclude={"limit", "cursor"}))
    page = await services.database.read(audit.page, wanted, search.limit, search.cursor)
    return AuditPage(items=[_view(entry) for entry in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{entry_id}",
    summary="Read an audit entry",
    operation_id="get_audit_entry",
    responses=refused_with(AuditEntryNotFound),
)
async def get(services: Given, entry_id: AuditIdPath) -> AuditEntryView:
    """Read one entry."""
    found = await services.database.read(audit.get, entry_id)
    if found is None:
        raise AuditEntryNotFound(f"There is no audit entry {show_id(AUDIT, entry_id)}, or not any more.")
    return _view(found)


def _view(entry: AuditEntry) -> AuditEntryView:
    return AuditEntryView(
        id=show_id(AUDIT, entry.id),
        at=entry.at,
        actor=AuditActor(kind=entry.actor.kind, id=entry.actor.id, name=entry.actor.name),
        action=entry.action,
        subject=AuditSubject(kind=entry.subject_kind, id=entry.subject_id),
        tenant=entry.tenant,
        address=entry.address,
        request_id=entry.request_id,
        before=None if entry.before is None else dict(entry.before),
        after=None if entry.after is None else dict(entry.after),
        detail=dict(entry.detail),
    )
