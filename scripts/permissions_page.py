"""The page of permissions: who may use which route."""

from __future__ import annotations

from fastapi.routing import APIRoute

from kanca.api.app import ROUTERS
from kanca.api.permissions import Tenancy, permission_of
from kanca.api.portal_access import is_for_tenants
from kanca.domain.api_key import Role

_TENANCIES = {Tenancy.OWN: "its own", Tenancy.SAME: "the same", Tenancy.REFUSED: "–"}
_HEAD = """# Permissions

Who may use which route. [The guide](../guides/access.md) says what roles, tenants and keys are.

*Tenant* says what a key that is confined to a tenant gets of a route that its role may use: *its own* things only, as
if there were no others; *the same* as all; or nothing (–, 403 `not_for_tenants`). *Portal* are the routes that a portal
token opens. Where no role is marked, no key is asked for. Whoever has `KANCA_ADMIN_KEY`, or is on the machine where no
key is asked for, is an admin of all tenants.
"""


def permissions_page() -> str:
    """The table of ``kanca.api.permissions`` for people, in the order of the routes."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    columns = ["route", "what", *Role, "tenant", "portal"]
    rows = [_row(method, route) for route in routes for method in sorted(route.methods or ())]
    lines = [_line(columns), "|" + "---|" * len(columns), *map(_line, rows)]
    return "\n".join([_HEAD, *lines, ""])


def _row(method: str, route: APIRoute) -> list[str]:
    permission = permission_of(method, route.path)
    roles = permission.roles or frozenset()
    marks = ["✓" if role in roles else "" for role in Role]
    tenancy = _TENANCIES[permission.tenancy] if roles else ""
    portal = "✓" if is_for_tenants(method, route.path) else ""
    return [f"`{method} {route.path}`", str(route.summary), *marks, tenancy, portal]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
