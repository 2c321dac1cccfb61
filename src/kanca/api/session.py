"""``/api/session``: a browser's session in the place of a key, so that no page has to keep the key."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from kanca.api.answers import Message
from kanca.api.arrival import arrival_of
from kanca.api.audit import About, Audited
from kanca.api.audited import SESSION
from kanca.api.callers import Caller, CallerTenant, Proof
from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.api.sessions import Sessions, forgotten_cookie
from kanca.domain.api_key import Role
from kanca.domain.ids import KEY, show_id
from kanca.domain.session_token import LASTS
from kanca.errors import Unauthenticated, Unavailable
from kanca.storage import ended_sessions

router = resource("Session", "/api/session")

_EXAMPLE: JsonDict = {
    "proof": "api_key",
    "key_id": "key_019503f0a1c27d3e8f00b4a6c8d2e1f0",
    "name": "on call",
    "role": "operator",
    "tenant": None,
    "csrf_token": "m3u1Zk0i4m0u2cN6f1bQ0q3cBt9T8r2pJxk7w5s4v1E",
    "idle_ends_at": "2026-03-01T13:00:00Z",
    "ends_at": "2026-03-02T00:00:00Z",
}


class SessionView(BaseModel):
    """Who the caller is."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    proof: Proof = Field(description="What the caller is known by; `local`: this machine, without a key.")
    key_id: str | None
    name: str | None = Field(description="What the key is called.")
    role: Role
    tenant: str | None = Field(description="What the caller is confined to; null: all tenants.")
    csrf_token: str | None = Field(
        description="Of a session: sent as `X-CSRF-Token` with all that changes something."
    )
    idle_ends_at: datetime | None = Field(description="When the session ends if nothing is heard of it.")
    ends_at: datetime | None = Field(description="When the session ends at the latest.")


@router.post("", summary="Begin a session", operation_id="begin_session", responses=refused_with(Unavailable))
async def begin(
    services: Given, caller: CallerTenant, trail: Audited, request: Request, response: Response
) -> SessionView:
    """Exchange the key that the request comes with for a session cookie, which no script can read."""
    if caller.session is not None or caller.proof not in (Proof.API_KEY, Proof.ADMIN_KEY):
        raise Unauthenticated(
            "Send the key that the session is to stand for as `Authorization: Bearer <key>`."
        )
    sessions, now = _sessions(services), services.now()
    session = sessions.begin(caller.key_id, now)
    response.headers["Set-Cookie"] = sessions.cookie(session, arrival_of(request), now)
    await trail.note("session.begun", SESSION)
    return _view(services, replace(caller, session=session))


@router.get("", summary="Say who the caller is", operation_id="get_session")
async def get(services: Given, caller: CallerTenant) -> SessionView:
    """Say who the caller is and, of a session, what its page needs to change something."""
    return _view(services, caller)


@router.delete("", summary="End the session", operation_id="end_session")
async def end(
    services: Given, caller: CallerTenant, trail: Audited, request: Request, response: Response
) -> Message:
    """End the session, with every copy of its cookie: here at once, at other gateways within two seconds."""
    response.headers["Set-Cookie"] = forgotten_cookie(arrival_of(request))
    session = caller.session
    if session is not None:
        ended = About[None]("session.ended", SESSION)
        ends_at = session.begun_at + LASTS
        await trail.write(ended, ended_sessions.end, session.id, ends_at, services.now())
        await services.hear_of_keys()
    return Message(message="The session has ended")


def _sessions(services: Services) -> Sessions:
    if services.sessions is None:
        raise Unavailable("This process has no sessions.")
    return services.sessions


def _view(services: Services, caller: Caller) -> SessionView:
    session = caller.session
    return SessionView(
        proof=caller.proof,
        key_id=None if caller.key_id is None else show_id(KEY, caller.key_id),
        name=caller.name,
        role=caller.role,
        tenant=caller.tenant,
        csrf_token=None if session is None else _sessions(services).csrf_token(session),
        idle_ends_at=None if session is None else session.ends_at,
        ends_at=None if session is None else session.begun_at + LASTS,
    )
