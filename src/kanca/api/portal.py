"""``/api/portal``: tokens with which a tenant manages its own subscriptions and deliveries, and nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from kanca.api.audit import Audited
from kanca.api.audited import PORTAL_TOKEN
from kanca.api.callers import CallerTenant
from kanca.api.fields import ChosenId
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.domain.portal_token import KEY_LABEL, PortalToken, make_token
from kanca.errors import BeyondOwnKey

router = resource("Portal", "/api/portal")

SHORTEST_S = 60
LONGEST_S = 86_400
DEFAULT_S = 3_600

_EXAMPLE: JsonDict = {
    "token": "kpt_AQAGRz1dHgAAAGFjbWW0X1mTQ0k5YkN2ZzR3c1pLQnlMaFVxVmRFb1JhVHhQaXc",
    "tenant": "acme",
    "read_only": False,
    "expires_at": "2026-03-01T13:00:00Z",
}


class PortalTokenRequest(BaseModel):
    """Whose token it is, and for how long."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"tenant": "acme", "expires_in_seconds": 900}]}
    )

    tenant: ChosenId = Field(description="The tenant that it is for; there need not be anything of it yet.")
    expires_in_seconds: int = Field(
        DEFAULT_S, strict=True, ge=SHORTEST_S, le=LONGEST_S, description="How long it counts."
    )
    read_only: bool = Field(
        False, strict=True, description="Nothing can be changed with it, or shown in full."
    )


class PortalTokenMade(BaseModel):
    """A portal token. It is not stored, and cannot be taken back before its time is over."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    token: str = Field(description="Sent as `Authorization: Bearer kpt_…`.")
    tenant: str
    read_only: bool
    expires_at: datetime


@router.post(
    "/tokens",
    summary="Make a portal token",
    operation_id="create_portal_token",
    responses=refused_with(BeyondOwnKey),
)
async def create(
    services: Given, caller: CallerTenant, trail: Audited, response: Response, request: PortalTokenRequest
) -> PortalTokenMade:
    """Make a token with which a tenant manages and inspects its own subscriptions and deliveries, and nothing else.

    It does not outlast the key that it is made with.
    """
    caller.tenant_of(request.tenant)
    expires_at = services.now() + timedelta(seconds=request.expires_in_seconds)
    if caller.expires_at is not None and expires_at > caller.expires_at:
        raise BeyondOwnKey("Your own key ends before: give a smaller `expires_in_seconds`.")
    token = PortalToken(request.tenant, expires_at, request.read_only)
    text = make_token(services.secret_box.derived(KEY_LABEL), token)
    await trail.note(
        "portal_token.created",
        PORTAL_TOKEN,
        request.tenant,
        expires_at=expires_at.isoformat(),
        is_read_only=request.read_only,
    )
    response.headers["Cache-Control"] = "no-store"
    return PortalTokenMade(
        token=text, tenant=request.tenant, read_only=request.read_only, expires_at=expires_at
    )
