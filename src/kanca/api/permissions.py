"""Who may use which route. What is not in this table is for admins of all tenants only, and fails the build.

The page ``docs/reference/permissions.md`` is made of it, and a test compares it with the routes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from kanca.domain.api_key import Role

_ADMIN = frozenset({Role.ADMIN})
_OPERATORS = _ADMIN | {Role.OPERATOR}
_READERS = _OPERATORS | {Role.VIEWER}
_PUBLISHERS = _OPERATORS | {Role.PUBLISHER}
_EVERYBODY = frozenset(Role)


class Tenancy(StrEnum):
    """What a key that is confined to a tenant gets of a route."""

    OWN = "own"
    """What belongs to its tenant; another's things are not there."""
    SAME = "same"
    """The same as all."""
    REFUSED = "refused"
    """Nothing: what the route is about belongs to no tenant."""


class Permission(NamedTuple):
    """Who may use a route."""

    roles: frozenset[Role] | None
    """None: everybody, without a key."""
    tenancy: Tenancy


def _permit(
    roles: frozenset[Role] | None, tenancy: Tenancy, *routes: str
) -> dict[tuple[str, str], Permission]:
    named = (route.split(" ") for route in routes)
    return {(method, path): Permission(roles, tenancy) for method, path in named}


_ENDPOINT = "/api/webhooks/endpoints/{webhook_id}"
_SUBSCRIPTION = "/webhooks/subscriptions/{subscription_id}"
_WORKFLOW = "/api/workflows/{workflow_id}"
_RUN = "/api/runs/{run_id}"
_WAIT = _RUN + "/waits/{node_id}"

PERMISSIONS: dict[tuple[str, str], Permission] = {
    # Endpoints
    **_permit(
        _READERS,
        Tenancy.OWN,
        "GET /api/webhooks/endpoints",
        f"GET {_ENDPOINT}",
        "GET /api/webhooks/{webhook_id}/events",
        "GET /api/webhooks/{webhook_id}/stats",
        "GET /api/webhooks/{webhook_id}/rejections",
    ),
    **_permit(
        _OPERATORS,
        Tenancy.OWN,
        "POST /api/webhooks/endpoints",
        f"PUT {_ENDPOINT}",
        f"DELETE {_ENDPOINT}",
        f"POST {_ENDPOINT}/rotate-secret",
        f"POST {_ENDPOINT}/pause",
        f"POST {_ENDPOINT}/resume",
        "POST /api/webhooks/{webhook_id}/test",
    ),
    **_permit(_ADMIN, Tenancy.OWN, f"POST {_ENDPOINT}/reveal-secret"),
    # Events
    **_permit(
        _READERS,
        Tenancy.OWN,
        "GET /api/events",
        "GET /api/events/{event_id}",
        "GET /api/events/{event_id}/body",
        "GET /api/early-events",
    ),
    **_permit(_READERS, Tenancy.OWN, "GET /api/tail"),
    **_permit(_OPERATORS, Tenancy.OWN, "POST /api/events/{event_id}/replay", "POST /api/events/replay"),
    **_permit(_ADMIN, Tenancy.OWN, "POST /api/events/{event_id}/expunge"),
    # Workflows and runs. What a definition names (credentials, other workflows) belongs to no tenant.
    **_permit(
        _READERS,
        Tenancy.OWN,
        "GET /api/workflows",
        f"GET {_WORKFLOW}",
        f"GET {_WORKFLOW}/versions",
        f"GET {_WORKFLOW}/diff",
        f"GET {_WORKFLOW}/export",
        f"GET {_WORKFLOW}/mermaid",
        "GET /api/schedules",
        "GET /api/runs",
        f"GET {_RUN}",
        f"GET {_RUN}/mermaid",
    ),
    **_permit(
        _OPERATORS,
        Tenancy.OWN,
        f"DELETE {_WORKFLOW}",
        f"POST {_WORKFLOW}/publish",
        f"POST {_WORKFLOW}/unpublish",
        f"POST {_WORKFLOW}/rollback",
        f"POST {_WORKFLOW}/pause",
        f"POST {_WORKFLOW}/resume",
        f"POST {_WORKFLOW}/runs",
        f"POST {_RUN}/cancel",
        f"POST {_RUN}/retry",
        f"POST {_RUN}/replay",
        f"POST {_WAIT}/resume",
        f"POST {_WAIT}/apply",
        f"GET {_WAIT}/urls",
    ),
    **_permit(
        _OPERATORS,
        Tenancy.REFUSED,
        "POST /api/workflows",
        f"PUT {_WORKFLOW}",
        f"POST {_WORKFLOW}/test",
    ),
    **_permit(_READERS, Tenancy.SAME, "GET /api/node-types", "POST /api/workflows/validate"),
    # Subscriptions and deliveries
    **_permit(
        _READERS,
        Tenancy.OWN,
        "GET /webhooks/subscriptions",
        f"GET {_SUBSCRIPTION}",
        "GET /api/deliveries",
        "GET /api/deliveries/{delivery_id}",
        "GET /api/replays",
        "GET /api/replays/{replay_id}",
    ),
    **_permit(
        _OPERATORS,
        Tenancy.OWN,
        "POST /webhooks/subscriptions",
        f"PUT {_SUBSCRIPTION}",
        f"DELETE {_SUBSCRIPTION}",
        f"POST {_SUBSCRIPTION}/test",
        f"POST {_SUBSCRIPTION}/rotate-secret",
        f"POST {_SUBSCRIPTION}/enable",
        f"POST {_SUBSCRIPTION}/challenge",
        f"POST {_SUBSCRIPTION}/replay",
        "POST /api/deliveries/{delivery_id}/resend",
        "POST /api/deliveries/replay",
        "POST /api/replays/{replay_id}/cancel",
    ),
    **_permit(_ADMIN, Tenancy.OWN, f"POST {_SUBSCRIPTION}/reveal-secret", "POST /api/portal/tokens"),
    # Dead letters
    **_permit(_READERS, Tenancy.OWN, "GET /admin/dlq", "GET /admin/dlq/{letter}"),
    **_permit(
        _OPERATORS,
        Tenancy.OWN,
        "POST /admin/dlq/retry",
        "POST /admin/dlq/purge",
        "POST /admin/dlq/{letter}/retry",
        "DELETE /admin/dlq/{letter}",
    ),
    # Publishing
    **_permit(_PUBLISHERS, Tenancy.OWN, "POST /events/trigger", "POST /events/trigger/batch"),
    **_permit(_EVERYBODY, Tenancy.SAME, "GET /api/event-types", "GET /api/event-types/{name}"),
    **_permit(_OPERATORS, Tenancy.REFUSED, "PUT /api/event-types/{name}", "DELETE /api/event-types/{name}"),
    # The server
    **_permit(_READERS, Tenancy.SAME, "GET /api/providers", "GET /api/providers/{name}"),
    **_permit(
        _READERS,
        Tenancy.REFUSED,
        "GET /api/instances",
        "GET /metrics",
        "GET /api/jobs",
        "GET /api/jobs/{job_id}",
        "GET /api/credentials",
        "GET /api/credentials/{name}",
    ),
    **_permit(_OPERATORS, Tenancy.REFUSED, "POST /api/jobs/{job_id}/cancel"),
    **_permit(
        _ADMIN,
        Tenancy.REFUSED,
        "POST /api/apply",
        "GET /api/audit",
        "GET /api/audit/{entry_id}",
        "POST /api/tenants/{tenant}/erase",
        "PUT /api/credentials/{name}",
        "DELETE /api/credentials/{name}",
        "POST /api/secrets/rotate",
    ),
    # Access
    **_permit(
        _ADMIN,
        Tenancy.OWN,
        "GET /api/keys",
        "POST /api/keys",
        "GET /api/keys/{key_id}",
        "PUT /api/keys/{key_id}",
        "DELETE /api/keys/{key_id}",
    ),
    **_permit(_EVERYBODY, Tenancy.SAME, "POST /api/session", "GET /api/session", "DELETE /api/session"),
    # Without a key
    **_permit(
        None,
        Tenancy.SAME,
        "GET /health",
        "GET /health/live",
        "GET /health/ready",
        "GET /health/processor",
        f"GET {_SUBSCRIPTION}/jwks.json",
    ),
}
"""By method and path, as the routes are written."""

UNLISTED = Permission(_ADMIN, Tenancy.REFUSED)
PUBLIC_PATHS = frozenset(path for (_, path), permission in PERMISSIONS.items() if permission.roles is None)
"""Served without a key (besides ingest, which does not come here), as the routes are written."""


def permission_of(method: str, path: str) -> Permission:
    """Who may use the route with that method and path, as it is written."""
    return PERMISSIONS.get((method, path), UNLISTED)
