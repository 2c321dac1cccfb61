"""The table of permissions and the routes say the same. A new route without a permission fails here."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute

from kanca.api.callers import Caller, Proof, asks_who_calls
from kanca.api.permissions import PERMISSIONS, PUBLIC_PATHS, UNLISTED, Permission, Tenancy, permission_of
from kanca.api.portal_access import PORTAL_ROUTES
from kanca.api.routing import StrictRoute, check_permission
from kanca.domain.api_key import Role
from kanca.errors import NotForTenants, RoleNotAllowed
from tests.api.conformity import ROUTES

NAMED = [(method, route) for route in ROUTES for method in sorted(route.methods or ())]
ALL_READ = Permission(frozenset(Role), Tenancy.SAME)


def test_every_route_has_a_permission_and_every_permission_a_route() -> None:
    routes = {(method, route.path) for method, route in NAMED}

    assert sorted(routes - PERMISSIONS.keys()) == []
    assert sorted(PERMISSIONS.keys() - routes) == []


@pytest.mark.parametrize(("method", "route"), NAMED, ids=lambda each: getattr(each, "operation_id", each))
def test_a_route_does_what_its_permission_says(method: str, route: APIRoute) -> None:
    permission = permission_of(method, route.path)

    if permission.roles is None:
        assert route.path in PUBLIC_PATHS
        return
    assert isinstance(route, StrictRoute)
    assert asks_who_calls(route.dependant) == (permission.tenancy is not Tenancy.REFUSED)


def test_who_may_do_less_may_do_nothing_that_who_may_do_more_may_not() -> None:
    for permission in PERMISSIONS.values():
        if permission.roles is not None:
            assert Role.ADMIN in permission.roles
            assert Role.VIEWER not in permission.roles or Role.OPERATOR in permission.roles
            assert Role.PUBLISHER not in permission.roles or Role.OPERATOR in permission.roles


def test_viewers_change_nothing_and_publishers_only_publish() -> None:
    of_viewers = {
        route for route, permission in PERMISSIONS.items() if Role.VIEWER in (permission.roles or ())
    }
    of_publishers = {
        route for route, permission in PERMISSIONS.items() if Role.PUBLISHER in (permission.roles or ())
    }
    session = {(method, "/api/session") for method in ("GET", "POST", "DELETE")}

    changing = {route for route in of_viewers if route[0] != "GET"} - session
    assert changing == {("POST", "/api/workflows/validate")}
    assert of_publishers - session == {
        ("POST", "/events/trigger"),
        ("POST", "/events/trigger/batch"),
        ("GET", "/api/event-types"),
        ("GET", "/api/event-types/{name}"),
    }


def test_portal_tokens_open_only_what_is_confined_to_tenants() -> None:
    tenancies = {permission_of(*route).tenancy for route in PORTAL_ROUTES}

    assert tenancies == {Tenancy.OWN, Tenancy.SAME}


def test_what_is_not_listed_is_for_admins_of_all_tenants() -> None:
    assert permission_of("GET", "/api/brand-new") == UNLISTED
    check_permission(Caller(), UNLISTED, is_for_tenants=False)
    with pytest.raises(RoleNotAllowed):
        check_permission(Caller(role=Role.OPERATOR), UNLISTED, is_for_tenants=True)
    with pytest.raises(NotForTenants):
        check_permission(Caller("acme"), UNLISTED, is_for_tenants=True)


def test_a_route_that_does_not_ask_who_calls_is_closed_to_tenants_whatever_its_permission() -> None:
    with pytest.raises(NotForTenants):
        check_permission(Caller("acme"), ALL_READ, is_for_tenants=False)
    with pytest.raises(NotForTenants):
        check_permission(Caller("acme", proof=Proof.PORTAL_TOKEN), ALL_READ, is_for_tenants=False)
    check_permission(Caller("acme"), ALL_READ, is_for_tenants=True)
