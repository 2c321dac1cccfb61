"""``/api/webhooks/endpoints``: the addresses that senders call."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Body, Query, Response

from kanca.api import endpoint_rules as rules
from kanca.api.answers import Message
from kanca.api.audit import About, Audited, Trail
from kanca.api.audited import ENDPOINT
from kanca.api.callers import CallerTenant
from kanca.api.endpoint_changes import change_endpoint, create_endpoint, rotate_endpoint_secret
from kanca.api.endpoint_models import (
    EndpointChange,
    EndpointPage,
    EndpointRequest,
    EndpointView,
    OldSecret,
    RevealedSecret,
    Rotation,
    view,
)
from kanca.api.fields import ChosenId, Cursor, Limit, Tenant, WebhookIdPath
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_ENDPOINT
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.domain.endpoint import BUILT_IN_IDS, RESUME_WEBHOOK_ID, Endpoint
from kanca.domain.task import TaskKind
from kanca.errors import (
    BuiltInEndpoint,
    ConfigUnreadable,
    EndpointExists,
    EndpointNotFound,
    InvalidEndpoint,
    InvalidProvider,
    InvalidSecret,
    SecretRequired,
    SlugTaken,
    UnknownProvider,
    WorkflowNotFound,
)
from kanca.storage import endpoints, statistics
from kanca.storage.statistics import EndpointStatistics

router = resource("Endpoints", "/api/webhooks/endpoints")

_INVALID = (InvalidEndpoint, InvalidProvider)
_NEVER_STORED = {"Cache-Control": "no-store"}


@router.post(
    "",
    summary="Create an endpoint",
    operation_id="create_endpoint",
    responses=refused_with(
        *_INVALID, UnknownProvider, InvalidSecret, WorkflowNotFound, SlugTaken, EndpointExists
    ),
)
async def create(
    services: Given, caller: CallerTenant, trail: Audited, response: Response, request: EndpointRequest
) -> EndpointView:
    """Make an address for a sender. `secret_token` is shown in full here, and later only by `reveal-secret`.

    An endpoint whose provider alone can make its secret is inactive until it has it; `hint` says how.
    """
    created = About[Endpoint]("endpoint.created", ENDPOINT, made=lambda endpoint: endpoint.webhook_id)
    endpoint = await trail.write(created, create_endpoint, services, caller, request)
    response.headers.update(_NEVER_STORED)
    return _view(services, endpoint, EndpointStatistics(), shows_secret=True)


@router.get("", summary="List endpoints", operation_id="list_endpoints")
async def list_all(
    services: Given,
    caller: CallerTenant,
    limit: Limit = 50,
    cursor: Cursor = None,
    tenant: Tenant = None,
    workflow_id: Annotated[ChosenId | None, Query(description="Only those of this workflow.")] = None,
) -> EndpointPage:
    """List endpoints, the newest first, those too whose config or secrets cannot be read: `hint` says so."""
    page = await services.database.read(
        endpoints.page,
        services.secret_box,
        limit,
        cursor,
        tenant=caller.tenant_of(tenant),
        workflow_id=workflow_id,
        # Nobody sends to the address of that one as it is.
        without={RESUME_WEBHOOK_ID} if services.webhook_secret else BUILT_IN_IDS,
    )
    counted = await services.database.read(
        statistics.of_endpoints, [listed.endpoint.number for listed in page.items], services.now()
    )
    items = [
        _view(services, _served(services, endpoint), counted[endpoint.number], unreadable=unreadable)
        for endpoint, unreadable in page.items
    ]
    return EndpointPage(items=items, next_cursor=page.next_cursor)


@router.get(
    "/{webhook_id}",
    summary="Read an endpoint",
    operation_id="get_endpoint",
    dependencies=[OWN_ENDPOINT],
    responses=refused_with(EndpointNotFound, ConfigUnreadable),
)
async def get(services: Given, webhook_id: WebhookIdPath) -> EndpointView:
    """Read one endpoint."""
    return await _shown(services, await find(services, webhook_id))


@router.put(
    "/{webhook_id}",
    summary="Change an endpoint",
    operation_id="change_endpoint",
    dependencies=[OWN_ENDPOINT],
    responses=refused_with(
        *_INVALID,
        UnknownProvider,
        EndpointNotFound,
        WorkflowNotFound,
        SlugTaken,
        SecretRequired,
        BuiltInEndpoint,
        ConfigUnreadable,
    ),
)
async def change(
    services: Given,
    caller: CallerTenant,
    trail: Audited,
    webhook_id: WebhookIdPath,
    request: EndpointChange,
) -> EndpointView:
    """Change what is given, key by key within `config`; the rest stays. Takes effect within a second."""
    changed = About[Endpoint]("endpoint.changed", ENDPOINT, webhook_id)
    endpoint = await trail.write(changed, change_endpoint, services, caller, webhook_id, request)
    return await _shown(services, endpoint)


@router.delete(
    "/{webhook_id}",
    summary="Delete an endpoint",
    operation_id="delete_endpoint",
    dependencies=[OWN_ENDPOINT],
    responses=refused_with(EndpointNotFound, BuiltInEndpoint),
)
async def delete(services: Given, trail: Audited, webhook_id: WebhookIdPath) -> Message:
    """Let the address end. Its events stay as long as others, and what they caused is still done."""
    rules.check_own(webhook_id, "deleted")
    deleted = About[None]("endpoint.deleted", ENDPOINT, webhook_id)
    await trail.write(deleted, endpoints.delete, webhook_id, services.now())
    return Message(message=f"Endpoint {webhook_id} was deleted")


@router.post(
    "/{webhook_id}/rotate-secret",
    summary="Replace an endpoint's secret",
    operation_id="rotate_endpoint_secret",
    dependencies=[OWN_ENDPOINT],
    responses=refused_with(
        EndpointNotFound, UnknownProvider, InvalidProvider, InvalidSecret, BuiltInEndpoint
    ),
)
async def rotate_secret(
    services: Given,
    trail: Audited,
    response: Response,
    webhook_id: WebhookIdPath,
    rotation: Annotated[Rotation | None, Body()] = None,
) -> EndpointView:
    """Set a new secret; the old one stays valid for the grace. An endpoint that had none is active from then on."""
    wanted = rotation or Rotation()
    detail = {"grace_seconds": wanted.grace_seconds, "is_given": wanted.secret is not None}
    rotated = About[Endpoint]("endpoint.secret_rotated", ENDPOINT, webhook_id, detail=lambda _: detail)
    endpoint = await trail.write(rotated, rotate_endpoint_secret, services, webhook_id, wanted)
    response.headers.update(_NEVER_STORED)
    return await _shown(services, endpoint, shows_secret=True)


@router.post(
    "/{webhook_id}/reveal-secret",
    summary="Show an endpoint's secret",
    operation_id="reveal_endpoint_secret",
    dependencies=[OWN_ENDPOINT],
    responses=refused_with(EndpointNotFound, SecretRequired),
)
async def reveal_secret(
    services: Given, trail: Audited, response: Response, webhook_id: WebhookIdPath
) -> RevealedSecret:
    """Show the secret in full, with those before it that are still valid. Every look is written down."""
    endpoint = await find(services, webhook_id)
    secrets = rules.live_secrets(endpoint, services.now())
    if not secrets:
        raise SecretRequired
    await trail.note("endpoint.secret_revealed", ENDPOINT, webhook_id)
    response.headers.update(_NEVER_STORED)
    return RevealedSecret(
        webhook_id=webhook_id,
        secret_token=secrets[0].value,
        old_secrets=[
            OldSecret(secret_token=old.value, expires_at=old.expires_at)
            for old in secrets[1:]
            if old.expires_at is not None
        ],
    )


@router.post(
    "/{webhook_id}/pause",
    summary="Pause an endpoint's work",
    operation_id="pause_endpoint",
    dependencies=[OWN_ENDPOINT],
    responses=refused_with(EndpointNotFound),
)
async def pause(services: Given, trail: Audited, webhook_id: WebhookIdPath) -> EndpointView:
    """Let events be accepted and stored as before, and their work wait until `resume`."""
    return await _set_paused(services, trail, webhook_id, is_paused=True)


@router.post(
    "/{webhook_id}/resume",
    summary="Resume an endpoint's work",
    operation_id="resume_endpoint",
    dependencies=[OWN_ENDPOINT],
    responses=refused_with(EndpointNotFound),
)
async def resume(services: Given, trail: Audited, webhook_id: WebhookIdPath) -> EndpointView:
    """Let the work go on, beginning with what has waited."""
    shown = await _set_paused(services, trail, webhook_id, is_paused=False)
    endpoint = await find(services, webhook_id)
    await services.database.queue.unpark(TaskKind.DISPATCH, endpoint.number)
    services.wake()
    return shown


async def find(services: Services, webhook_id: str) -> Endpoint:
    """The endpoint with that id. Raises EndpointNotFound."""
    endpoint = await services.database.read(endpoints.by_webhook_id, services.secret_box, webhook_id)
    if endpoint is None:
        raise EndpointNotFound(f"There is no endpoint {webhook_id}.")
    return _served(services, endpoint)


def _served(services: Services, endpoint: Endpoint) -> Endpoint:
    return rules.as_served(endpoint, services.webhook_secret)


async def _set_paused(services: Services, trail: Trail, webhook_id: str, *, is_paused: bool) -> EndpointView:
    now = services.now()

    def set_paused(endpoint: Endpoint) -> Endpoint:
        return replace(endpoint, is_paused=is_paused, updated_at=now)

    about = About[Endpoint]("endpoint.paused" if is_paused else "endpoint.resumed", ENDPOINT, webhook_id)
    endpoint = await trail.write(about, endpoints.change, services.secret_box, webhook_id, set_paused)
    return await _shown(services, endpoint)


async def _shown(services: Services, endpoint: Endpoint, *, shows_secret: bool = False) -> EndpointView:
    counted = await services.database.read(statistics.of_endpoints, [endpoint.number], services.now())
    return _view(services, _served(services, endpoint), counted[endpoint.number], shows_secret=shows_secret)


def _view(
    services: Services,
    endpoint: Endpoint,
    counted: EndpointStatistics,
    *,
    shows_secret: bool = False,
    unreadable: tuple[str, ...] = (),
) -> EndpointView:
    spec = rules.known_spec(services.catalogue, endpoint)
    return view(
        endpoint,
        spec,
        counted,
        services.now(),
        services.public_url,
        shows_secret=shows_secret,
        unreadable=unreadable,
    )
