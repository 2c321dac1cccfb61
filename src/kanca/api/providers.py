"""``/api/providers``: who can send, and how each signs."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from kanca.api.openapi import refused_with
from kanca.api.routing import resource
from kanca.errors import ProviderNotFound, UnknownProvider
from kanca.providers import ProviderSpec, get_provider, provider_names

router = resource("Providers", "/api/providers")

_PROVIDER: dict[str, JsonValue] = {
    "name": "stripe",
    "title": "Stripe",
    "summary": "Payments, customers, invoices and subscriptions from a Stripe account.",
    "signs": True,
    "secret_is_issued": True,
    "secret_where": "Developers → Webhooks → your endpoint → Signing secret",
    "docs_url": "https://docs.stripe.com/webhooks",
    "sample_event_types": ["checkout.session.completed", "payment_intent.succeeded"],
}


class Provider(BaseModel):
    """Who sends."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROVIDER]})

    name: str
    title: str
    summary: str
    signs: bool = Field(description="What it sends is signed, not only its sender named by a token.")
    secret_is_issued: bool = Field(
        description="Only the provider makes its secrets; others can be chosen here."
    )
    secret_where: str = Field(description="Where the secret is found or set.")
    docs_url: str | None
    sample_event_types: list[str]


class ProviderList(BaseModel):
    """All providers, by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_PROVIDER]}]})

    items: list[Provider]


class ProviderDetails(Provider):
    """Who sends, and how it signs."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROVIDER | {"spec": {"name": "stripe"}}]})

    spec: dict[str, Any] = Field(
        description="All that is known of it: signatures, ids, types, retries, sources."
    )


@router.get("", summary="List providers", operation_id="list_providers")
async def list_all() -> ProviderList:
    """List every provider of the catalogue."""
    return ProviderList(items=[Provider(**_summary(get_provider(name))) for name in provider_names()])


@router.get(
    "/{name}",
    summary="Read a provider",
    operation_id="get_provider",
    responses=refused_with(ProviderNotFound),
)
async def get(name: Annotated[str, Path(max_length=64)]) -> ProviderDetails:
    """Say all that is known of a provider."""
    try:
        spec = get_provider(name)
    except UnknownProvider as error:
        raise ProviderNotFound(error.detail) from None
    return ProviderDetails(**_summary(spec), spec=msgspec.to_builtins(spec))


def _summary(spec: ProviderSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "summary": spec.summary,
        "signs": spec.signs,
        "secret_is_issued": spec.secret.is_issued,
        "secret_where": spec.secret.where,
        "docs_url": spec.docs_url,
        "sample_event_types": [sample.event_type for sample in spec.samples],
    }
