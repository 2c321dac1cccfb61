"""Who calls: who has the admin key, an API key, or a portal token, or is on this machine.

``permissions`` says of each route which roles may use it. Whoever is confined to a tenant reaches only the routes that
ask who calls, which is a parameter ``caller: CallerTenant``, or one of the dependencies of ``ownership``. They keep to
what the tenant owns: another's things are not there (404), and what only the operator may say is refused (403).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from kanca.domain.api_key import Role
from kanca.domain.ids import KEY, show_id
from kanca.domain.session_token import Session
from kanca.errors import NotForTenants

DEFAULT_TENANT = "default"
"""The label of what was given none."""
SCOPE_KEY = "kanca.caller"
"""Where the guard says who calls, in the ASGI scope: no header or path can get there."""


class Proof(StrEnum):
    """What a caller is known by."""

    LOCAL = "local"
    """It is on this machine, where no key is asked for."""
    ADMIN_KEY = "admin_key"
    API_KEY = "api_key"
    PORTAL_TOKEN = "portal_token"  # noqa: S105 - the name of a kind


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    tenant: str | None = None
    """What it is confined to; None: all tenants."""
    is_read_only: bool = False
    """Nothing may be changed. The guard sees to it: such a caller comes with GET only."""
    role: Role = Role.ADMIN
    proof: Proof = Proof.LOCAL
    key_id: UUID | None = None
    """Of an API key."""
    name: str | None = None
    """What the key is called."""
    expires_at: datetime | None = None
    """When the key's time is over."""
    session: Session | None = None
    """The session that stands for the key."""

    @property
    def actor(self) -> str:
        """Who it is, for the log: never a secret."""
        if self.proof is Proof.PORTAL_TOKEN:
            return f"tenant {self.tenant}"
        return self.proof if self.key_id is None else show_id(KEY, self.key_id)

    def tenant_of(self, asked: str | None) -> str | None:
        """The tenant that a request is about, which says ``asked``; for a tenant it is always its own.

        None: of all, or whatever the default is. Raises NotForTenants for another one.
        """
        if self.tenant is None:
            return asked
        if asked is not None and asked != self.tenant:
            raise NotForTenants("`tenant` can only be your own.")
        return self.tenant

    def owns(self, tenant: str | None) -> bool:
        """Whether what belongs to ``tenant`` is there for the caller. What belongs to none is the operator's."""
        return self.tenant is None or self.tenant == tenant

    def check_fields(self, given: Collection[str], operators: Collection[str]) -> None:
        """Raise NotForTenants when a tenant has ``given`` a field that only ``operators`` may set."""
        if self.tenant is not None and (theirs := sorted(set(given) & set(operators))):
            raise NotForTenants(f"Only the operator may set {', '.join(theirs)}.", fields=theirs)


OPERATOR = Caller()


def caller_of(request: Request) -> Caller:
    """Who sent a request."""
    caller: Caller = request.scope.get(SCOPE_KEY, OPERATOR)
    return caller


CallerTenant = Annotated[Caller, Depends(caller_of)]
"""The parameter of a route that tenants may use."""
THE_SAME_FOR_ALL = Depends(caller_of)
"""Among the ``dependencies`` of a route that tenants may use, and that answers all of them the same."""


def asks_who_calls(dependant: Dependant) -> bool:
    """Whether a route has such a parameter."""
    return dependant.call is caller_of or any(map(asks_who_calls, dependant.dependencies))
