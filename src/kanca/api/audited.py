"""The kinds of things that are changed, and what the audit log knows of each: its fields, without a secret.

What may be shown is said field by field. What nobody has thought of is hidden.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from sqlalchemy import Connection

from kanca.domain.audit import REDACTED, Hidden, State
from kanca.domain.endpoint import EndpointConfig, Secret
from kanca.domain.endpoint_config import show_config
from kanca.domain.ids import DEAD_LETTER, DELIVERY, EVENT, JOB, KEY, REPLAY, RUN, show_id
from kanca.domain.subscription import SubscriptionConfig
from kanca.domain.subscription_config import show_subscription_config
from kanca.errors import ApiKeyNotFound, CredentialNotFound, EventTypeNotFound, JobNotFound
from kanca.storage import (
    api_keys,
    credentials,
    dead_letters,
    deliveries,
    endpoints,
    event_types,
    events,
    jobs,
    replays,
    runs,
    subscriptions,
    workflows,
)
from kanca.storage.secret_box import SecretBox
from kanca.storage.versions import Subject, bump_version

K = TypeVar("K")

SHOWN_OF_ENDPOINTS = frozenset(
    {
        "authentication_required",
        "allowed_event_types",
        "max_payload_size",
        "rate_limit_per_minute",
        "webhook_timeout",
        "allowed_methods",
        "enable_cors",
        "cors_origins",
        "node_behavior",
        "allowed_ips",
        "dedupe",
        "dedupe_window_days",
        "dedupe_include",
        "dedupe_exclude",
        "payload_retention_days",
        "indexed_fields",
        "redact_fields",
        "response_wait",
        "response_timeout_status",
        "filter",
        "provider_options",
        "provider_spec",
    }
)
"""Keys of an endpoint's config whose values may be read by whoever reads the audit log."""
SHOWN_OF_SUBSCRIPTIONS = frozenset(
    {
        "filter",
        "transform",
        "timeout",
        "retry_config",
        "rate_limit_per_second",
        "max_in_flight",
        "fifo",
        "fifo_key",
        "signature",
        "signature_header",
        "credential",
        "challenge",
    }
)
"""The same of a subscription's; ``credential`` is a name."""
HIDDEN_OF_ENDPOINTS = frozenset({"answer"})
HIDDEN_OF_SUBSCRIPTIONS = frozenset({"headers"})
"""The values of headers may be what somebody proves himself with. Their names are shown."""


@dataclass(frozen=True)
class Kind(Generic[K]):
    """A kind of thing. ``K`` is what names one of them."""

    name: str
    read: Callable[[Connection, SecretBox, K], State | None]
    """Gives how it is now; None when there is no such thing."""
    show: Callable[[K], str] = str
    """Its id as people know it."""
    lock: Subject | None = None
    """What whoever changes such a thing holds until the end of the transaction."""

    def hold(self, connection: Connection) -> None:
        """Keep others from changing such a thing until the end of the transaction: it stays as it is read now."""
        if self.lock is not None:
            bump_version(connection, self.lock)


def shown_url(url: str) -> Hidden:
    """A URL without what it may prove: the user and the password, and the values of its parameters."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")
    netloc = f"{REDACTED}@{host[2]}" if host[1] else host[2]
    pairs = [pair.partition("=") for pair in parts.query.split("&")] if parts.query else []
    query = "&".join(f"{name}={REDACTED}" if sign else REDACTED for name, sign, _ in pairs)
    return Hidden(url, urlunsplit((parts.scheme, netloc, parts.path, query, "")))


def _endpoint(connection: Connection, box: SecretBox, webhook_id: str) -> State | None:
    found = endpoints.listed(connection, box, webhook_id)
    if found is None:
        return None
    endpoint = found.endpoint
    fields = {
        "name": endpoint.name,
        "slug": endpoint.slug,
        "provider": endpoint.provider,
        "workflow_id": endpoint.workflow_id,
        "node_id": endpoint.node_id,
        "is_active": endpoint.is_active,
        "is_paused": endpoint.is_paused,
        "config": endpoint_config(endpoint.config),
        "secrets": _secrets(endpoint.secrets),
    }
    return State(endpoint.tenant, _readable(fields, found.unreadable))


def _subscription(connection: Connection, box: SecretBox, subscription_id: str) -> State | None:
    found = subscriptions.listed(connection, box, subscription_id)
    if found is None:
        return None
    subscription = found.subscription
    fields = {
        "name": subscription.name,
        "url": shown_url(subscription.url),
        "events": list(subscription.events),
        "sources": list(subscription.sources),
        "is_active": subscription.is_active,
        "is_verified": subscription.is_verified,
        "disabled_reason": subscription.disabled_reason,
        "config": subscription_config(subscription.config),
        "secrets": _secrets(subscription.secrets),
    }
    return State(subscription.tenant, _readable(fields, found.unreadable))


def endpoint_config(config: EndpointConfig) -> dict[str, Any]:
    """An endpoint's config, with what may not be shown hidden."""
    fields = show_config(config)
    answer = fields.get("answer")
    if answer is not None:
        answer = answer | {"headers": _hidden_values(answer.get("headers", {}))}
    return _allowed(fields, SHOWN_OF_ENDPOINTS) | {"answer": answer}


def subscription_config(config: SubscriptionConfig) -> dict[str, Any]:
    """A subscription's config, with what may not be shown hidden."""
    fields = show_subscription_config(config)
    return _allowed(fields, SHOWN_OF_SUBSCRIPTIONS) | {"headers": _hidden_values(fields["headers"])}


def _allowed(fields: Mapping[str, Any], shown: frozenset[str]) -> dict[str, Any]:
    return {key: value if key in shown else Hidden(value) for key, value in fields.items()}


def _hidden_values(headers: Mapping[str, str]) -> dict[str, Hidden]:
    return {name: Hidden(value) for name, value in headers.items()}


def _secrets(secrets: Sequence[Secret]) -> list[dict[str, Any]]:
    return [{"value": Hidden(secret.value), "expires_at": secret.expires_at} for secret in secrets]


def _readable(fields: dict[str, Any], unreadable: Sequence[str]) -> dict[str, Any]:
    """The fields without those that no key opens, or that this version does not understand."""
    if not unreadable:
        return fields
    return {key: value for key, value in fields.items() if key not in unreadable} | {
        "unreadable": list(unreadable)
    }


def _workflow(connection: Connection, _box: SecretBox, workflow_id: str) -> State | None:
    """The definition is not in it: every version of it is kept, and two can be compared."""
    found = workflows.get(connection, workflow_id)
    if found is None:
        return None
    names = "name", "version", "published_version", "is_paused"
    return State(found.tenant, {name: getattr(found, name) for name in names})


def _credential(connection: Connection, _box: SecretBox, name: str) -> State | None:
    try:
        kind = credentials.describe(connection, name).kind
    except CredentialNotFound:
        return None
    # Equal to nothing else: whoever puts a credential says what it is, be it the same as before.
    return State(None, {"kind": kind, "value": Hidden(object())})


def _event_type(connection: Connection, _box: SecretBox, name: str) -> State | None:
    try:
        found = event_types.get(connection, name)
    except EventTypeNotFound:
        return None
    fields = {
        "description": found.description,
        "schema": found.schema and json.loads(found.schema),
        "example": found.example and json.loads(found.example),
        "enforced": found.is_enforced,
    }
    return State(None, fields)


def _event(connection: Connection, _box: SecretBox, event_id: UUID) -> State | None:
    """What was received never changes."""
    found = events.get(connection, event_id)
    return None if found is None else State(found.tenant)


def _run(connection: Connection, _box: SecretBox, run_id: UUID) -> State | None:
    found = runs.get(connection, run_id)
    if found is None:
        return None
    workflow = workflows.get(connection, found.workflow_id)
    fields = {"workflow_id": found.workflow_id, "version": found.version, "status": str(found.status)}
    return State(None if workflow is None else workflow.tenant, fields)


def _delivery(connection: Connection, _box: SecretBox, delivery_id: UUID) -> State | None:
    found = deliveries.get(connection, delivery_id)
    return None if found is None else State(found.tenant, {"subscription_id": found.subscription_id})


def _dead_letter(connection: Connection, _box: SecretBox, letter_id: UUID) -> State | None:
    found = dead_letters.get(connection, letter_id)
    if found is None:
        return None
    event_id = None if found.event_id is None else show_id(EVENT, found.event_id)
    fields = {
        "event_id": event_id,
        "event_type": found.event_type,
        "work": found.work,
        "code": found.code,
        "failed_at": found.failed_at,
    }
    return State(found.tenant, fields)


def _replay(connection: Connection, _box: SecretBox, replay_id: UUID) -> State | None:
    found = replays.get(connection, replay_id)
    if found is None:
        return None
    subscription = found.subscription
    fields = {
        "subscription_id": subscription
        and subscriptions.ids_of(connection, [subscription]).get(subscription),
        "only": str(found.only),
        "since": found.since,
        "until": found.until,
        "event_types": list(found.event_types),
        "rate_per_second": found.rate_per_second,
        "total": found.total,
        "status": str(found.status),
    }
    return State(found.tenant, fields)


def _api_key(connection: Connection, _box: SecretBox, key_id: UUID) -> State | None:
    """Neither the key nor its hash is in it."""
    try:
        found = api_keys.get(connection, key_id)
    except ApiKeyNotFound:
        return None
    fields = {
        "name": found.name,
        "role": str(found.role),
        "expires_at": found.expires_at,
        "revoked_at": found.revoked_at,
    }
    return State(found.tenant, fields)


def _job(connection: Connection, _box: SecretBox, job_id: UUID) -> State | None:
    try:
        found = jobs.get(connection, job_id)
    except JobNotFound:
        return None
    return State(
        found.tenant, {"kind": str(found.kind), "wanted": dict(found.wanted), "status": str(found.status)}
    )


def _many(_connection: Connection, _box: SecretBox, _key: None) -> State | None:
    return None


def _tenant(_connection: Connection, _box: SecretBox, tenant: str) -> State | None:
    """Portal tokens are not stored: what there is to say of one is whose it is."""
    return State(tenant)


ENDPOINT = Kind("endpoint", _endpoint, lock="endpoints")
SUBSCRIPTION = Kind("subscription", _subscription, lock="subscriptions")
WORKFLOW = Kind("workflow", _workflow, lock="workflows")
CREDENTIAL = Kind("credential", _credential, lock="credentials")
EVENT_TYPE = Kind("event_type", _event_type, lock="event_types")
STORED_EVENT = Kind[UUID]("event", _event, lambda key: show_id(EVENT, key))
A_RUN = Kind[UUID]("run", _run, lambda key: show_id(RUN, key))
A_DELIVERY = Kind[UUID]("delivery", _delivery, lambda key: show_id(DELIVERY, key))
LETTER = Kind[UUID]("dead_letter", _dead_letter, lambda key: show_id(DEAD_LETTER, key))
A_REPLAY = Kind[UUID]("replay", _replay, lambda key: show_id(REPLAY, key))
A_KEY = Kind[UUID]("key", _api_key, lambda key: show_id(KEY, key), lock="api_keys")
SESSION = Kind[None]("session", lambda *_: None)
"""Not stored: an entry says whose it is."""
A_JOB = Kind[UUID]("job", _job, lambda key: show_id(JOB, key))
A_TENANT = Kind("tenant", _tenant)
PORTAL_TOKEN = Kind("portal_token", _tenant)
"""Named by its tenant."""
EVENTS = Kind[None]("event", _many)
"""Many at once; so the others."""
LETTERS = Kind[None]("dead_letter", _many)
SECRETS = Kind[None]("secret", _many)
