"""One change of several that are made together: what it asks for, and how it is done within their transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection

from kanca.api import credentials as credential_requests
from kanca.api import endpoint_rules
from kanca.api import event_types as event_type_requests
from kanca.api.callers import DEFAULT_TENANT, OPERATOR
from kanca.api.endpoint_changes import change_endpoint, create_endpoint, rotate_endpoint_secret
from kanca.api.endpoint_models import EndpointChange, EndpointRequest, Rotation
from kanca.api.fields import ChosenId, Moment, Text
from kanca.api.services import Services
from kanca.api.subscription_changes import (
    change_subscription,
    create_subscription,
    rotate_subscription_secret,
)
from kanca.api.subscription_requests import SubscriptionChange, SubscriptionRequest
from kanca.api.workflows import create_workflow, publish_workflow, save_workflow
from kanca.domain.changing import Kind
from kanca.domain.event import MAX_TYPE_LENGTH
from kanca.domain.ids import CHOSEN_ID
from kanca.domain.subscription import Subscription
from kanca.errors import (
    ChangedMeanwhile,
    EndpointNotFound,
    InvalidInput,
    InvalidRequest,
    SubscriptionNotFound,
    WorkflowNotFound,
)
from kanca.storage import credentials, endpoints, event_types, subscriptions, workflows
from kanca.workflows.validation import read_workflow

Model = TypeVar("Model", bound=BaseModel)


class Verb(StrEnum):
    """What is done to it."""

    CREATE = "create"
    CHANGE = "change"
    PUBLISH = "publish"
    """A workflow."""
    ROTATE = "rotate"
    """The secret of an endpoint or a subscription."""
    DELETE = "delete"


class Change(BaseModel):
    """One change: what the route that makes it alone would be given."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    verb: Verb
    id: Text = Field(
        min_length=1,
        max_length=MAX_TYPE_LENGTH,
        description="Of a workflow or a subscription; the name of a credential or an event type; the slug of an "
        "endpoint, or its `wh_…` id.",
    )
    body: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="What the route for it takes; the id need not stand in it again.",
    )
    tenant: ChosenId | None = Field(None, description="Of a new workflow.")
    updated_at: Moment | None = Field(
        None,
        description="When it was last changed, as far as is known: the change is refused if it is not so.",
    )


class Done(NamedTuple):
    """What a change did, for whoever has to see to it after the commit."""

    subject: str
    """The id."""
    subscription: Subscription | None = None
    """As it is then; its open deliveries look at it again."""
    deleted_number: int | None = None
    """Of a subscription that is gone."""
    must_ask: bool = False
    """Its receiver has to echo a token."""


def make_change(connection: Connection, services: Services, change: Change) -> Done:
    """Make the change. Raises what the route for it alone would raise, and ChangedMeanwhile."""
    make = _WAYS.get((change.kind, change.verb))
    if make is None:
        raise InvalidInput(f"{change.verb} is nothing that can be done to a {change.kind}")
    return make(connection, services, change)


def _put_event_type(connection: Connection, services: Services, change: Change) -> Done:
    if change.updated_at is not None:
        _check(event_types.get(connection, change.id).updated_at, change)
    request = _read(event_type_requests.EventTypeRequest, change.body)
    event_types.put(connection, event_type_requests.read_request(change.id, request, services.now()))
    return Done(change.id)


def _delete_event_type(connection: Connection, _services: Services, change: Change) -> Done:
    event_types.remove(connection, change.id)
    return Done(change.id)


def _put_credential(connection: Connection, services: Services, change: Change) -> Done:
    if not CHOSEN_ID.fullmatch(change.id):
        raise InvalidInput(f"{change.id[:64]!a} is no name of a credential")
    if change.updated_at is not None:
        _check(credentials.describe(connection, change.id).updated_at, change)
    request = _read(credential_requests.CredentialRequest, change.body)
    credential = credential_requests.read_request(change.id, request)
    credential_requests.put_credential(connection, services.secret_box, credential, services.now())
    return Done(change.id)


def _delete_credential(connection: Connection, _services: Services, change: Change) -> Done:
    credential_requests.delete_credential(connection, change.id)
    return Done(change.id)


def _create_workflow(connection: Connection, services: Services, change: Change) -> Done:
    saved = read_workflow({**change.body, "id": change.id}, services.nodes).definition
    create_workflow(connection, saved, change.tenant or DEFAULT_TENANT, services.now())
    return Done(change.id)


def _save_workflow(connection: Connection, services: Services, change: Change) -> Done:
    _check_workflow(connection, change)
    saved = read_workflow({**change.body, "id": change.id}, services.nodes).definition
    save_workflow(connection, saved, services.now())
    return Done(change.id)


def _publish_workflow(connection: Connection, services: Services, change: Change) -> Done:
    _check_workflow(connection, change)
    publish_workflow(connection, services, change.id)
    return Done(change.id)


def _delete_workflow(connection: Connection, _services: Services, change: Change) -> Done:
    _check_workflow(connection, change)
    workflows.remove(connection, change.id)
    return Done(change.id)


def _create_endpoint(connection: Connection, services: Services, change: Change) -> Done:
    request = _read(EndpointRequest, change.body)
    return Done(create_endpoint(connection, services, OPERATOR, request).webhook_id)


def _change_endpoint(connection: Connection, services: Services, change: Change) -> Done:
    webhook_id = _webhook_id(connection, services, change)
    change_endpoint(connection, services, OPERATOR, webhook_id, _read(EndpointChange, change.body))
    return Done(webhook_id)


def _rotate_endpoint(connection: Connection, services: Services, change: Change) -> Done:
    webhook_id = _webhook_id(connection, services, change)
    rotate_endpoint_secret(connection, services, webhook_id, _read(Rotation, change.body))
    return Done(webhook_id)


def _delete_endpoint(connection: Connection, services: Services, change: Change) -> Done:
    webhook_id = _webhook_id(connection, services, change)
    endpoint_rules.check_own(webhook_id, "deleted")
    endpoints.delete(connection, webhook_id, services.now())
    return Done(webhook_id)


def _create_subscription(connection: Connection, services: Services, change: Change) -> Done:
    request = _read(SubscriptionRequest, {**change.body, "id": change.id})
    made = create_subscription(connection, services, OPERATOR, request)
    return Done(made.id, made, must_ask=made.config.challenge)


def _change_subscription(connection: Connection, services: Services, change: Change) -> Done:
    _check_subscription(connection, services, change)
    request = _read(SubscriptionChange, change.body)
    changed, must_ask = change_subscription(connection, services, OPERATOR, change.id, request)
    return Done(changed.id, changed, must_ask=must_ask)


def _rotate_subscription(connection: Connection, services: Services, change: Change) -> Done:
    _check_subscription(connection, services, change)
    rotation = _read(Rotation, change.body)
    changed = rotate_subscription_secret(connection, services, OPERATOR, change.id, rotation)
    return Done(changed.id, changed)


def _delete_subscription(connection: Connection, services: Services, change: Change) -> Done:
    _check_subscription(connection, services, change)
    return Done(change.id, deleted_number=subscriptions.delete(connection, change.id, services.now()))


_WAYS: Mapping[tuple[Kind, Verb], Callable[[Connection, Services, Change], Done]] = {
    (Kind.EVENT_TYPE, Verb.CREATE): _put_event_type,
    (Kind.EVENT_TYPE, Verb.CHANGE): _put_event_type,
    (Kind.EVENT_TYPE, Verb.DELETE): _delete_event_type,
    (Kind.CREDENTIAL, Verb.CREATE): _put_credential,
    (Kind.CREDENTIAL, Verb.CHANGE): _put_credential,
    (Kind.CREDENTIAL, Verb.DELETE): _delete_credential,
    (Kind.WORKFLOW, Verb.CREATE): _create_workflow,
    (Kind.WORKFLOW, Verb.CHANGE): _save_workflow,
    (Kind.WORKFLOW, Verb.PUBLISH): _publish_workflow,
    (Kind.WORKFLOW, Verb.DELETE): _delete_workflow,
    (Kind.ENDPOINT, Verb.CREATE): _create_endpoint,
    (Kind.ENDPOINT, Verb.CHANGE): _change_endpoint,
    (Kind.ENDPOINT, Verb.ROTATE): _rotate_endpoint,
    (Kind.ENDPOINT, Verb.DELETE): _delete_endpoint,
    (Kind.SUBSCRIPTION, Verb.CREATE): _create_subscription,
    (Kind.SUBSCRIPTION, Verb.CHANGE): _change_subscription,
    (Kind.SUBSCRIPTION, Verb.ROTATE): _rotate_subscription,
    (Kind.SUBSCRIPTION, Verb.DELETE): _delete_subscription,
}


def _webhook_id(connection: Connection, services: Services, change: Change) -> str:
    """The id of the endpoint that the change names. Raises EndpointNotFound, ChangedMeanwhile."""
    named = endpoints.by_address(connection, {change.id})
    if change.id not in named:
        raise EndpointNotFound(f"There is no endpoint {change.id[:128]!a}")
    webhook_id = named[change.id][0]
    if change.updated_at is not None:
        found = endpoints.by_webhook_id(connection, services.secret_box, webhook_id)
        _check(found.updated_at if found else None, change)
    return webhook_id


def _check_workflow(connection: Connection, change: Change) -> None:
    found = workflows.get(connection, change.id)
    if found is None:
        raise WorkflowNotFound(f"There is no workflow {change.id[:64]!a}")
    _check(found.updated_at, change)


def _check_subscription(connection: Connection, services: Services, change: Change) -> None:
    found = subscriptions.get(connection, services.secret_box, change.id)
    if found is None:
        raise SubscriptionNotFound(f"There is no subscription {change.id[:64]!a}")
    _check(found.updated_at, change)


def _check(updated_at: datetime | None, change: Change) -> None:
    """Raise ChangedMeanwhile if it is not as whoever asks has seen it."""
    if change.updated_at is not None and updated_at != change.updated_at:
        raise ChangedMeanwhile(f"The {change.kind} {change.id} was changed since it was looked at")


def _read(model: type[Model], body: Mapping[str, Any]) -> Model:
    """The body as the route for it reads it. Raises InvalidRequest; what stands there is not repeated."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems = [
            {"location": [str(part) for part in found["loc"]], "message": found["msg"], "kind": found["type"]}
            for found in error.errors(include_input=False, include_url=False)
        ]
        told = "; ".join(f"{'.'.join(found['location'])}: {found['message']}" for found in problems)
        raise InvalidRequest(told, errors=problems) from None
