"""Who calls: the operator, or a tenant with a portal token.

``access.ManagementGuard`` lets a tenant reach the routes of ``portal_access.PORTAL_ROUTES`` only, and of those only the
ones that ask who calls, which is a parameter ``caller: CallerTenant``. They keep to what the tenant owns: another's
things are not there (404), and what only an operator may say is refused (403).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from kanca.errors import NotForTenants

SCOPE_KEY = "kanca.caller"
"""Where the guard says who calls, in the ASGI scope: no header or path can get there."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls."""

    tenant: str | None = None
    """None: the operator, who may do everything."""
    is_read_only: bool = False
    """Nothing may be changed. The guard sees to it: such a caller comes with GET only."""
    is_keyed: bool = False
    """It has shown the admin key; else it is on this machine, where that is enough."""

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
