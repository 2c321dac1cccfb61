"""The management API as one FastAPI app."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from kanca.api import (
    apply,
    audit_log,
    credentials,
    dead_letters,
    deliveries,
    early_events,
    endpoint_activity,
    endpoint_testing,
    endpoints,
    event_types,
    events,
    expunging,
    health_routes,
    instances,
    jobs,
    keys,
    node_types,
    portal,
    providers,
    publishing,
    replay,
    replays,
    run_actions,
    run_waits,
    runs,
    schedules,
    secrets,
    session,
    subscription_actions,
    subscription_keys,
    subscriptions,
    tail,
    tenants,
    workflow_documents,
    workflow_testing,
    workflow_versions,
    workflows,
)
from kanca.api.health import HealthCheck
from kanca.api.openapi import complete
from kanca.api.problems import install_problem_handlers
from kanca.api.services import Services
from kanca.api.tail_hub import TailHub
from kanca.outbound.publisher import Publisher
from kanca.queue.measuring import Measurer

_NOTHING: Mapping[str, Any] = {"paths": {}, "components": {}}

ROUTERS = (
    endpoints.router,
    endpoint_activity.router,
    endpoint_testing.router,
    events.router,
    tail.router,
    replay.router,
    expunging.router,
    early_events.router,
    workflows.router,
    workflow_versions.router,
    workflow_documents.router,
    workflow_testing.router,
    runs.router,
    run_actions.router,
    run_waits.router,
    schedules.router,
    node_types.router,
    subscriptions.router,
    subscription_actions.router,
    subscription_keys.router,
    portal.router,
    deliveries.router,
    replays.router,
    replays.of_deliveries,
    replays.of_subscription,
    credentials.router,
    apply.router,
    dead_letters.router,
    jobs.router,
    tenants.router,
    providers.router,
    instances.router,
    audit_log.router,
    secrets.router,
    keys.router,
    session.router,
    publishing.router,
    event_types.router,
    health_routes.router,
)


def create_api(services: Services, besides: Mapping[str, Any] = _NOTHING) -> FastAPI:
    """The app that serves management, health and metrics. It guards nothing: see ``access.ManagementGuard``.

    ``besides`` is what its document says of addresses that others serve: ``paths`` and ``components``.
    """
    app = _assembled(besides)
    app.state.services = services
    app.state.health = HealthCheck(services)
    app.state.measurer = Measurer(services.database, services.queue_max_tasks, services.backlog)
    app.state.tails = services.tails or TailHub(services.database)
    app.state.publisher = services.publisher or Publisher(
        services.database, services.secret_box, services.wake, closed_for=services.closed_for
    )
    return app


def api_document(besides: Mapping[str, Any] = _NOTHING) -> dict[str, Any]:
    """The OpenAPI document of that app."""
    return _assembled(besides).openapi()


def _assembled(besides: Mapping[str, Any]) -> FastAPI:
    app = _Api(
        besides,
        title="Kanca",
        description="Receive webhooks, run handlers and workflows with them, send webhooks; see what became of each.",
        version=version("kanca"),
        redirect_slashes=False,
        # Their pages load scripts from elsewhere, which would have the power of whoever opens them.
        docs_url=None,
        redoc_url=None,
    )
    # The routes themselves: `include_router` would build each of them again, for every app, at its first request.
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    install_problem_handlers(app)
    return app


class _Api(FastAPI):
    def __init__(self, besides: Mapping[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self._besides = besides

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi(), _answers(), self._besides)
        return self.openapi_schema


def _answers() -> set[type[BaseModel]]:
    routes = (route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))
    return {route.response_model for route in routes if route.response_model is not None}
