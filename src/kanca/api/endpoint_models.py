"""Endpoints as JSON."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr

from kanca.api.endpoint_hints import hint_of, unreadable_hint
from kanca.api.endpoint_rules import live_secrets
from kanca.api.fields import ChosenId, Name, Slug, WebhookId
from kanca.api.secret_rotation import masked
from kanca.domain.endpoint import BUILT_IN_PATHS, RESUME_WEBHOOK_ID, Endpoint, effective_rate_limit
from kanca.domain.endpoint_config import show_config
from kanca.domain.resume_token import RESUME_PATH
from kanca.providers import ProviderSpec
from kanca.storage.statistics import EndpointStatistics

_SECRET = "wht_4f1c9a7be0d253864f1c9a7be0d253864f1c9a7be0d253864f1c9a7be0d25386"  # noqa: S105 - an example
_WEBHOOK_ID = "wh_3f0c2a9d84b1e7c65a20d9f4"
_CONFIG: dict[str, JsonValue] = {
    "authentication_required": True,
    "allowed_event_types": [],
    "max_payload_size": 1024,
    "rate_limit_per_minute": 60,
    "webhook_timeout": 30,
    "allowed_methods": ["POST"],
    "enable_cors": True,
    "cors_origins": ["*"],
    "node_behavior": "auto",
    "allowed_ips": [],
    "dedupe": "auto",
    "dedupe_window_days": 7,
    "dedupe_include": [],
    "dedupe_exclude": [],
    "redact_fields": [],
    "response_wait": 0,
    "response_timeout_status": 202,
    "answer": None,
    "filter": "event.data.total >= 100",
    "payload_retention_days": None,
    "indexed_fields": ["data.customer.id"],
}
_ENDPOINT: dict[str, JsonValue] = {
    "webhook_id": _WEBHOOK_ID,
    "endpoint_path": f"/api/webhooks/{_WEBHOOK_ID}",
    "endpoint_url": f"https://hooks.example.com/api/webhooks/{_WEBHOOK_ID}",
    "slug_path": "/webhooks/orders",
    "name": "Orders",
    "slug": "orders",
    "provider": "generic",
    "tenant": "default",
    "workflow_id": "test-123",
    "node_id": "node-456",
    "config": _CONFIG,
    "node_behavior": "auto",
    "is_active": True,
    "is_paused": False,
    "secret_token": "…5386",
    "hint": None,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
    "last_triggered": "2026-03-02T08:15:30Z",
    "trigger_count": 1284,
    "avg_response_time_ms": 3.2,
    "error_count": 2,
}


class EndpointRequest(BaseModel):
    """An endpoint to be created."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"workflow_id": "test-123", "node_id": "node-456", "config": {}},
                {
                    "name": "Payments",
                    "provider": "stripe",
                    "secret": "whsec_…",
                    "config": {"dedupe_window_days": 14},
                },
            ]
        },
    )

    workflow_id: ChosenId | None = Field(None, description="The workflow that its events start.")
    node_id: ChosenId | None = Field(
        None, description="A WebhookTrigger node of that workflow; may be left out when there is only one."
    )
    name: Name | None = Field(None, description="What people call it.")
    slug: Slug | None = Field(
        None,
        description="A short address, `/webhooks/{slug}`. Left out, a provider's name is taken if it is free.",
    )
    provider: str = Field(
        "generic",
        max_length=64,
        description="Who sends: see `GET /api/providers`. With `provider_spec` in the config: the name in it.",
    )
    secret: SecretStr | None = Field(
        None,
        max_length=1024,
        description="What the sender signs with; left out, one is made where that is possible.",
    )
    tenant: ChosenId = Field("default", description="A label that groups what belongs together.")
    webhook_id: WebhookId | None = Field(
        None,
        description="The id that it has on another server, so that senders keep their address; left out, one is made.",
    )
    config: dict[str, Any] = Field(default_factory=dict, description="What differs from the defaults.")


class EndpointChange(BaseModel):
    """What changes of an endpoint; whatever is left out stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "Orders", "config": {"rate_limit_per_minute": 600}}]},
    )

    workflow_id: ChosenId | None = Field(None, description="null takes it away from its workflow.")
    node_id: ChosenId | None = None
    name: Name | None = None
    slug: Slug | None = Field(None, description="null takes the slug away.")
    is_active: bool | None = Field(
        None, strict=True, description="An inactive endpoint answers as if it were not there."
    )
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="The keys that change, one by one; a key that is left out stays. The value of one is replaced "
        "whole, also what `provider_options`, `provider_spec` and `answer` have inside: give all of it.",
    )


class Rotation(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"grace_seconds": 3600}]})

    secret: SecretStr | None = Field(
        None, max_length=1024, description="The new secret; left out, one is made."
    )
    grace_seconds: int = Field(
        86_400, strict=True, ge=0, le=2_592_000, description="How long the old one stays valid as well."
    )


class EndpointView(BaseModel):
    """An endpoint and how it is doing."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENDPOINT]})

    webhook_id: str
    endpoint_path: str = Field(description="Where senders send.")
    endpoint_url: str | None = Field(description="The same with the address that KANCA_PUBLIC_URL says.")
    slug_path: str | None = Field(description="The short address.")
    name: str
    slug: str | None
    provider: str
    tenant: str
    workflow_id: str | None
    node_id: str | None
    config: dict[str, Any] = Field(
        description="With the limits that are in force; empty when it cannot be read."
    )
    node_behavior: str
    is_active: bool
    is_paused: bool = Field(description="Paused: events are accepted and stored, and their work waits.")
    secret_token: str | None = Field(
        description="In full only in answers that make or reveal it; else its end."
    )
    hint: str | None = Field(description="What is missing before it can be used, or is wrong with it.")
    created_at: datetime
    updated_at: datetime
    last_triggered: datetime | None
    trigger_count: int = Field(description="Accepted events.")
    avg_response_time_ms: float
    error_count: int = Field(description="Pieces of work that became dead letters.")


class EndpointPage(BaseModel):
    """Some endpoints, the newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_ENDPOINT], "next_cursor": None}]})

    items: list[EndpointView]
    next_cursor: str | None = Field(description="Where the next page begins.")


class OldSecret(BaseModel):
    """A secret that is valid for a while yet."""

    secret_token: str
    expires_at: datetime


class RevealedSecret(BaseModel):
    """An endpoint's secrets in full."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"webhook_id": _WEBHOOK_ID, "secret_token": _SECRET, "old_secrets": []}]
        }
    )

    webhook_id: str
    secret_token: str
    old_secrets: list[OldSecret]


def view(
    endpoint: Endpoint,
    spec: ProviderSpec | None,
    statistics: EndpointStatistics,
    now: datetime,
    public_url: str | None,
    *,
    shows_secret: bool = False,
    unreadable: Collection[str] = (),
) -> EndpointView:
    """The endpoint as JSON; its secret in full when ``shows_secret``. ``spec`` is None for an unknown provider.

    ``unreadable`` is what of the stored endpoint could not be read, and so is left out: ``config``, ``secrets``.
    """
    hint = hint_of(endpoint, spec, now, has_public_url=public_url is not None)
    path = path_of(endpoint)
    secrets = live_secrets(endpoint, now)
    token = secrets[0].value if secrets else None
    return EndpointView(
        webhook_id=endpoint.webhook_id,
        endpoint_path=path,
        endpoint_url=public_url + path if public_url else None,
        slug_path=f"/webhooks/{endpoint.slug}" if endpoint.slug else None,
        name=endpoint.name,
        slug=endpoint.slug,
        provider=endpoint.provider,
        tenant=endpoint.tenant,
        workflow_id=endpoint.workflow_id,
        node_id=endpoint.node_id,
        config={} if "config" in unreadable else effective_config(endpoint, spec),
        node_behavior=endpoint.config.node_behavior,
        is_active=endpoint.is_active,
        is_paused=endpoint.is_paused,
        secret_token=token if shows_secret or token is None else masked(token),
        hint=unreadable_hint(unreadable) if unreadable else hint,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
        last_triggered=statistics.last_accepted_at,
        trigger_count=statistics.total.accepted,
        avg_response_time_ms=round(statistics.total.average_response_ms, 3),
        error_count=statistics.total.dead,
    )


def path_of(endpoint: Endpoint) -> str:
    """Where senders send."""
    if endpoint.webhook_id == RESUME_WEBHOOK_ID:
        return RESUME_PATH + "{token}"
    return BUILT_IN_PATHS.get(endpoint.webhook_id, f"/api/webhooks/{endpoint.webhook_id}")


def effective_config(endpoint: Endpoint, spec: ProviderSpec | None) -> dict[str, Any]:
    """The endpoint's config with the rate limit that is in force."""
    limit = effective_rate_limit(endpoint.config, provider_signs=spec is not None and spec.signs)
    return show_config(endpoint.config) | {"rate_limit_per_minute": limit}
