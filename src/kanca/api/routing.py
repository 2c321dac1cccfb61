"""Routers as every resource has them: strict about JSON that comes in, documented about what may go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute

from kanca.api.callers import Caller, Proof, asks_who_calls, caller_of
from kanca.api.openapi import refused_with
from kanca.api.permissions import Permission, Tenancy, permission_of
from kanca.errors import (
    CsrfRefused,
    DatabaseUnavailable,
    Forbidden,
    KeyExpired,
    KeyRevoked,
    NotForTenants,
    RoleNotAllowed,
    SessionOver,
    TooManyFailures,
    Unauthenticated,
)

MAX_BODY_BYTES = 1024 * 1024
MAX_NESTING = 64
"""Levels of nesting that a request's body may have: what is stored is later read by recursion."""

_REFUSALS = (
    *(Unauthenticated, KeyExpired, KeyRevoked, SessionOver),
    *(Forbidden, RoleNotAllowed, NotForTenants, CsrfRefused),
    TooManyFailures,
    DatabaseUnavailable,
)
"""What every route that management guards may be answered with."""
_TOO_DEEP = f"The body is nested more than {MAX_NESTING} levels deep"


class StrictRequest(Request):
    """A request whose body is bounded, and whose JSON is JSON.

    That is: UTF-8, no NaN, no lone surrogates, no numbers out of range, not nested too deeply.
    """

    async def body(self) -> bytes:
        """The body. Raises HTTPException (413) when it is too large, counted as it comes."""
        if not hasattr(self, "_body"):
            pieces, size = [], 0
            async for piece in self.stream():
                size += len(piece)
                if size > MAX_BODY_BYTES:
                    raise HTTPException(413)
                pieces.append(piece)
            self._body = b"".join(pieces)
        return self._body

    async def json(self) -> Any:
        """The document. Raises JSONDecodeError, which FastAPI answers with 422."""
        body = await self.body()
        try:
            document = msgspec.json.decode(body)
        except (ValueError, RecursionError):  # all that msgspec raises
            raise _why_not(body) from None
        if _is_deeper(document, MAX_NESTING):
            raise _refused(_TOO_DEEP)
        return document


def _why_not(body: bytes) -> json.JSONDecodeError:
    """Why a body is no such JSON; the standard library says it better."""
    try:
        json.loads(body.decode())
    except UnicodeDecodeError:
        return _refused("The body is not UTF-8")
    except json.JSONDecodeError as error:
        return error
    except RecursionError:
        return _refused(_TOO_DEEP)
    except ValueError:
        return _refused("The body has a number that is too long")
    return _refused("The body has a lone surrogate, NaN, Infinity or a number out of range")


def _refused(why: str) -> json.JSONDecodeError:
    return json.JSONDecodeError(why, "", 0)


class StrictRoute(APIRoute):
    """A route that reads its request as a StrictRequest, for those only who may use it (``permissions``)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with the stricter request. It raises NotForTenants, RoleNotAllowed."""
        handle = super().get_route_handler()
        is_for_tenants = asks_who_calls(self.dependant)

        async def strict(request: Request) -> Response:
            permission = permission_of(request.method, self.path)
            check_permission(caller_of(request), permission, is_for_tenants=is_for_tenants)
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def check_permission(caller: Caller, permission: Permission, *, is_for_tenants: bool) -> None:
    """Make sure that the caller may use a route. Raises RoleNotAllowed, NotForTenants.

    ``is_for_tenants``: the route asks who calls. One that does not would show a tenant what is another's.
    """
    # What portal tokens open, and what is open to all, the guard has decided.
    is_decided = permission.roles is None or caller.proof is Proof.PORTAL_TOKEN
    if not is_decided and permission.roles is not None and caller.role not in permission.roles:
        allowed = sorted(permission.roles)
        raise RoleNotAllowed(
            f"A key of the role `{caller.role}` may not do this; these may: {', '.join(allowed)}.",
            roles=allowed,
        )
    if caller.tenant is None:
        return
    if not is_for_tenants or (not is_decided and permission.tenancy is Tenancy.REFUSED):
        raise NotForTenants


def resource(tag: str, prefix: str = "") -> APIRouter:
    """The router of a resource that management guards."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        route_class=StrictRoute,
        responses=refused_with(*_REFUSALS),
    )


def _is_deeper(document: object, levels: int) -> bool:
    level = _containers([document])
    for _ in range(levels):
        level = [
            child
            for parent in level
            for child in _containers(parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True


def _containers(values: Iterable[object]) -> list[dict[str, object] | list[object]]:
    return [value for value in values if isinstance(value, dict | list)]
