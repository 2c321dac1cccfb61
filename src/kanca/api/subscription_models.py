"""Subscriptions as JSON, as they are answered."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.api.attempt_models import ATTEMPT, AttemptView
from kanca.domain.subscription import SubscriptionConfig, SubscriptionStatus
from kanca.domain.subscription_config import show_subscription_config

_ID = "sub_019503f0a1c27d3e8f00b4a6c8d2e1f0"
_SECRET = "whsec_9pFv1r0C7mPq2sYk3xUeN8bJt6wZaH4d"  # noqa: S105 - an example
_OPTIONS: dict[str, JsonValue] = show_subscription_config(SubscriptionConfig()) | {
    "filter": "event.data.total >= 100",
    "timeout": 10,
    "retry_config": {"schedule": [5, 60, 600]},
}
_HEALTH: dict[str, JsonValue] = {
    "failing_since": None,
    "last_success_at": "2026-03-02T08:15:30Z",
    "last_failure_at": None,
    "last_error": None,
}
_SHOWN: dict[str, JsonValue] = {
    "id": _ID,
    "name": "partner.example",
    "tenant": "default",
    "url": "https://partner.example/hooks",
    "events": ["order.*", "invoice.paid"],
    "sources": [],
    "active": True,
    "is_verified": True,
    "disabled_reason": None,
    "disabled_at": None,
    "hint": None,
    "secret": "…aH4d",
    "public_key": None,
    **_OPTIONS,
    "health": _HEALTH,
    "created_at": "2026-03-01T12:00:00Z",
    "updated_at": "2026-03-01T12:00:00Z",
}
_SUBSCRIPTION = _SHOWN | {"status": "active"}


class HealthView(BaseModel):
    """How the receiver is."""

    failing_since: datetime | None = Field(description="Every attempt since then failed.")
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_error: str | None = Field(description="The code of the last failure.")


class ShownSubscription(BaseModel):
    """What every answer about a subscription has."""

    id: str
    name: str
    tenant: str
    url: str
    events: list[str]
    sources: list[str] = Field(description="`wh_…` ids, or `operational`.")
    active: bool
    is_verified: bool = Field(description="Its receiver echoed the challenge's token, or none was asked for.")
    disabled_reason: str | None = Field(description="Why Kanca switched it off; `enable` switches it on.")
    disabled_at: datetime | None
    hint: str | None = Field(description="Why nothing is sent to it, and what to do.")
    secret: str | None = Field(description="In full only in answers that make or reveal it; else its end.")
    public_key: str | None = Field(description="Of `signature: ed25519`: what receivers verify with.")
    filter: str | None
    transform: str | None
    headers: dict[str, str]
    timeout: float | None
    retry_config: dict[str, Any] | None
    rate_limit_per_second: float | None
    max_in_flight: int
    fifo: bool
    fifo_key: str | None
    signature: str
    signature_header: str | None
    credential: str | None
    challenge: bool
    health: HealthView
    created_at: datetime
    updated_at: datetime


class SubscriptionView(ShownSubscription):
    """A subscription and how its receiver is."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUBSCRIPTION]})

    status: SubscriptionStatus


class SubscriptionCreated(ShownSubscription):
    """A new subscription, its secret in full."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_SHOWN,
                    "status": "created",
                    "subscription_id": _ID,
                    "secret": _SECRET,
                    "attempt": None,
                }
            ]
        }
    )

    status: Literal["created"]
    subscription_id: str
    attempt: AttemptView | None = Field(description="Of the challenge, if its receiver was asked.")


class SubscriptionPage(BaseModel):
    """Some subscriptions, the newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [_SUBSCRIPTION], "next_cursor": None}]}
    )

    items: list[SubscriptionView]
    next_cursor: str | None = Field(description="Where the next page begins.")


class SubscriptionDeleted(BaseModel):
    """A subscription that is no more."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "deleted", "subscription_id": _ID}]})

    status: Literal["deleted"]
    subscription_id: str


class OldSigningSecret(BaseModel):
    """A secret that deliveries are signed with for a while yet."""

    secret: str
    expires_at: datetime


class RevealedSigningSecret(BaseModel):
    """A subscription's secrets in full."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"subscription_id": _ID, "secret": _SECRET, "public_key": None, "old_secrets": []}]
        }
    )

    subscription_id: str
    secret: str
    public_key: str | None
    old_secrets: list[OldSigningSecret]


class SubscriptionTest(BaseModel):
    """What the receiver answered to a test event."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "delivered",
                    "status_code": 200,
                    "event_id": "evt_019503f0a1c27d3e8f00b4a6c8d2e1f0",
                    "attempt": ATTEMPT,
                }
            ]
        }
    )

    status: Literal["delivered", "failed"]
    status_code: int | None
    event_id: str
    attempt: AttemptView


class KeySet(BaseModel):
    """Public keys (RFC 7517): a delivery is signed with one of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "keys": [
                        {
                            "kty": "OKP",
                            "crv": "Ed25519",
                            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                            "alg": "EdDSA",
                            "use": "sig",
                        }
                    ]
                }
            ]
        }
    )

    keys: list[dict[str, Any]]
