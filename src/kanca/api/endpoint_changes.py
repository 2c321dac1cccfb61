"""Creating and changing endpoints, each in one transaction with what it depends on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from kanca.api import endpoint_rules as rules
from kanca.api.callers import Caller
from kanca.api.endpoint_models import EndpointChange, EndpointRequest, Rotation
from kanca.api.services import Services
from kanca.domain.endpoint import RESUME_WEBHOOK_ID, Endpoint, NodeBehavior
from kanca.domain.ids import new_webhook_id
from kanca.domain.workflow import Definition, read_definition
from kanca.errors import InvalidEndpoint, SlugTaken, WorkflowNotFound
from kanca.storage import endpoints, owners, workflows
from kanca.workflows.nodes.webhook_trigger import NAME as TRIGGER


def create_endpoint(
    connection: Connection, services: Services, caller: Caller, request: EndpointRequest
) -> Endpoint:
    """Store the endpoint that is asked for.

    Raises UnknownProvider, InvalidEndpoint, InvalidProvider, InvalidSecret, WorkflowNotFound, SlugTaken,
    EndpointExists, NotForTenants.
    """
    # The label that is given to all who give none is not asked for.
    tenant = caller.tenant_of(request.tenant if "tenant" in request.model_fields_set else None)
    _check_own_workflow(connection, caller, request.workflow_id)
    config = rules.read_endpoint_config(request.config, services.retention_days)
    asked = request.provider if "provider" in request.model_fields_set else None
    provider = rules.provider_name(asked, config)
    spec = rules.described(services.catalogue, provider, config)
    rules.check_slug(request.slug)
    given = request.secret.get_secret_value() if request.secret else None
    secrets = rules.first_secrets(spec, config, given)
    slug = request.slug
    if "slug" not in request.model_fields_set:
        slug = _free(connection, services, rules.default_slug(provider))
    now = services.now()
    endpoint = Endpoint(
        number=0,
        webhook_id=request.webhook_id or new_webhook_id(),
        name=request.name or slug or request.workflow_id or provider,
        slug=slug,
        provider=provider,
        tenant=tenant or request.tenant,
        workflow_id=request.workflow_id,
        node_id=_trigger(connection, request.workflow_id, request.node_id),
        config=config,
        secrets=secrets,
        is_active=rules.may_be_active(spec, config, secrets),
        is_paused=False,
        created_at=now,
        updated_at=now,
    )
    _check_behavior(connection, endpoint)
    rules.check_waiting(endpoint)
    with _saying_no_more_of_slugs(caller):
        return endpoints.create(connection, services.secret_box, endpoint)


def change_endpoint(
    connection: Connection, services: Services, caller: Caller, webhook_id: str, request: EndpointChange
) -> Endpoint:
    """Change what the request has of the endpoint.

    Raises EndpointNotFound, BuiltInEndpoint, InvalidEndpoint, InvalidProvider, UnknownProvider, SecretRequired,
    WorkflowNotFound, SlugTaken.
    """

    def changed(before: Endpoint) -> Endpoint:
        if request.slug is not None:
            rules.check_own(webhook_id, "given a slug")
        if request.workflow_id is not None and webhook_id == RESUME_WEBHOOK_ID:
            rules.check_own(webhook_id, "given a workflow")
        after = replace(
            before,
            **request.model_dump(include={"slug", "name", "is_active"}, exclude_unset=True),
            config=rules.read_endpoint_config(request.config, services.retention_days, before.config),
            updated_at=services.now(),
        )
        if request.model_fields_set & {"workflow_id", "node_id"}:
            workflow_id = (
                request.workflow_id if "workflow_id" in request.model_fields_set else before.workflow_id
            )
            node_id = _trigger(connection, workflow_id, request.node_id)
            after = replace(after, workflow_id=workflow_id, node_id=node_id)
        spec = rules.described(services.catalogue, after.provider, after.config)
        if request.model_fields_set & {"workflow_id", "node_id", "config"}:
            _check_behavior(connection, after)
        rules.check_waiting(after)
        rules.check_answer(after)
        if not rules.is_built_in(after):
            rules.check_activity(after, spec)
            rules.check_kind_of_secret(
                before, rules.known_spec(services.catalogue, before), spec, after.config
            )
        return after

    _check_not_null(request)
    _check_own_workflow(connection, caller, request.workflow_id)
    rules.check_slug(request.slug)
    with _saying_no_more_of_slugs(caller):
        return endpoints.change(connection, services.secret_box, webhook_id, changed)


def rotate_endpoint_secret(
    connection: Connection, services: Services, webhook_id: str, rotation: Rotation
) -> Endpoint:
    """Give the endpoint a new secret; the old one stays valid for the grace.

    Raises EndpointNotFound, BuiltInEndpoint, UnknownProvider, InvalidProvider, InvalidSecret.
    """
    given = rotation.secret.get_secret_value() if rotation.secret else None
    grace, now = timedelta(seconds=rotation.grace_seconds), services.now()

    def rotated(endpoint: Endpoint) -> Endpoint:
        rules.check_own(webhook_id, "given another secret")
        spec = rules.spec_of(services.catalogue, endpoint.provider, endpoint.config)
        return rules.rotated(endpoint, spec, given, grace, now)

    return endpoints.change(connection, services.secret_box, webhook_id, rotated)


def _check_not_null(request: EndpointChange) -> None:
    for key in ("name", "is_active"):
        if key in request.model_fields_set and getattr(request, key) is None:
            raise InvalidEndpoint(
                f"{key} cannot be null", problems=[{"key": key, "message": "cannot be null"}]
            )


def _check_own_workflow(connection: Connection, caller: Caller, workflow_id: str | None) -> None:
    """Raise WorkflowNotFound for a workflow of another tenant's: its events would start runs there."""
    if caller.tenant is None or workflow_id is None:
        return
    if not caller.owns(owners.of_workflow(connection, workflow_id)):
        raise WorkflowNotFound(f"There is no workflow {workflow_id}.", workflow_id=workflow_id)


@contextmanager
def _saying_no_more_of_slugs(caller: Caller) -> Iterator[None]:
    """Say of a slug only that it is taken: the address that has it may be another tenant's."""
    try:
        yield
    except SlugTaken:
        if caller.tenant is None:
            raise
        raise SlugTaken from None


def _free(connection: Connection, services: Services, slug: str | None) -> str | None:
    """The slug, unless it is taken."""
    if slug is None or endpoints.by_slug(connection, services.secret_box, slug) is not None:
        return None
    return slug


def _trigger(connection: Connection, workflow_id: str | None, node_id: str | None) -> str | None:
    """The node at which the endpoint's events enter the workflow: the one that is asked for, or the only one there is.

    Raises WorkflowNotFound, and InvalidEndpoint when the node is none or must be named.
    """
    if workflow_id is None:
        if node_id is not None:
            raise _bad_node("needs a workflow_id beside it")
        return None
    definition = _newest_definition(connection, workflow_id)
    triggers = [node.id for node in definition.nodes if node.type == TRIGGER]
    if node_id in triggers:
        return node_id
    if node_id is None and len(triggers) == 1:
        return triggers[0]
    choice = (
        f"the WebhookTrigger nodes of the workflow {workflow_id} are: {', '.join(triggers[:20]) or 'none'}"
    )
    if node_id is None:
        raise _bad_node(f"must be given; {choice}")
    raise _bad_node(f"is no WebhookTrigger node; {choice}")


def _check_behavior(connection: Connection, endpoint: Endpoint) -> None:
    if endpoint.workflow_id is not None and endpoint.config.node_behavior is not NodeBehavior.AUTO:
        rules.check_behavior(endpoint, _newest_definition(connection, endpoint.workflow_id))


def _newest_definition(connection: Connection, workflow_id: str) -> Definition:
    workflow = workflows.get(connection, workflow_id)
    if workflow is not None:
        stored = workflows.definition_of(connection, workflow_id, workflow.version)
        if stored is not None:
            return read_definition(json.loads(stored.definition))
    raise WorkflowNotFound(f"There is no workflow {workflow_id}.", workflow_id=workflow_id)


def _bad_node(message: str) -> InvalidEndpoint:
    return InvalidEndpoint(f"node_id {message}", problems=[{"key": "node_id", "message": message}])
