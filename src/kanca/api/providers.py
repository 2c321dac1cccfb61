"""``/api/providers``: who can send, and how each signs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from kanca.api import provider_views
from kanca.api.callers import THE_SAME_FOR_ALL
from kanca.api.openapi import refused_with
from kanca.api.provider_models import ProviderDetails, ProviderList
from kanca.api.routing import resource
from kanca.api.services import Given
from kanca.errors import ProviderNotFound, UnknownProvider

router = resource("Providers", "/api/providers")


@router.get("", summary="List providers", operation_id="list_providers", dependencies=[THE_SAME_FOR_ALL])
async def list_all(services: Given) -> ProviderList:
    """List every provider: those that come with Kanca, and those of this server's settings."""
    catalogue = services.catalogue
    return ProviderList(items=[provider_views.summary(catalogue, name) for name in catalogue.names])


@router.get(
    "/{name}",
    summary="Read a provider",
    operation_id="get_provider",
    dependencies=[THE_SAME_FOR_ALL],
    responses=refused_with(ProviderNotFound),
)
async def get(services: Given, name: Annotated[str, Path(max_length=64)]) -> ProviderDetails:
    """Say all that is known of a provider."""
    try:
        return provider_views.details(services.catalogue, name)
    except UnknownProvider as error:
        raise ProviderNotFound(error.detail) from None
