"""``/api/webhooks/{webhook_id}/test``: whether an endpoint works at all."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Body
from pydantic import BaseModel, ConfigDict, Field

from kanca.api.answers import Json, stored_json
from kanca.api.audit import Audited
from kanca.api.audited import ENDPOINT
from kanca.api.endpoint_models import path_of
from kanca.api.endpoint_rules import live_secrets, spec_of
from kanca.api.endpoints import find
from kanca.api.fields import EventType, WebhookIdPath
from kanca.api.openapi import refused_with
from kanca.api.ownership import OWN_ENDPOINT
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.domain.endpoint import Endpoint
from kanca.errors import EndpointNotFound, InvalidProvider, Unavailable, UnknownProvider
from kanca.providers import Draft, Issued, issue, make_delivery, sign

router = resource("Endpoints", "/api/webhooks/{webhook_id}")

TEST_EVENT = "webhook.test"


class EndpointTestRequest(BaseModel):
    """What is sent to the endpoint."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"event_type": "order.paid"}]})

    event_type: EventType | None = Field(
        TEST_EVENT, description="The type of the event; null: that of the provider's first sample."
    )


class EndpointTest(BaseModel):
    """What the endpoint answered to its test."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "test_successful": True,
                    "response_status": 200,
                    "response_body": {"success": True, "status": "accepted"},
                }
            ]
        }
    )

    test_successful: bool
    response_status: int
    response_body: Any


@router.post(
    "/test",
    summary="Test an endpoint",
    operation_id="test_endpoint",
    dependencies=[OWN_ENDPOINT],
    response_model=EndpointTest,
    responses=refused_with(EndpointNotFound, UnknownProvider, InvalidProvider, Unavailable),
)
async def rehearse(
    services: Given,
    trail: Audited,
    webhook_id: WebhookIdPath,
    request: Annotated[EndpointTestRequest | None, Body()] = None,
) -> Json:
    """Send a `webhook.test` event, signed as the provider would, through the real path, with the work that it causes.

    Rate limit, list of addresses and dedupe do not apply to it, and the event is marked as a test.
    """
    if services.send_test is None:
        raise Unavailable("No webhooks are taken by this process.")
    endpoint = await find(services, webhook_id)
    event_type = (request or EndpointTestRequest()).event_type
    # In a thread: some providers need a key pair made for the test, which keeps the CPU busy for 100 ms.
    signed = await asyncio.to_thread(_signed_test, services, endpoint, event_type)
    await trail.note("endpoint.tested", ENDPOINT, webhook_id)
    answer = await services.send_test(webhook_id, *signed)
    return Json(
        EndpointTest(
            test_successful=200 <= answer.status < 300,
            response_status=answer.status,
            response_body=stored_json(answer.body) or answer.body.decode(errors="replace") or None,
        )
    )


def _signed_test(
    services: Services, endpoint: Endpoint, event_type: str | None
) -> tuple[Draft, Issued | None]:
    """What the provider would send; unsigned when there is no secret to sign with.

    Where only the provider could sign, a key pair made for this one test stands for the provider's.
    """
    options = endpoint.config.provider_options
    spec = spec_of(services.catalogue, endpoint.provider, endpoint.config)
    now = services.now()
    url = (services.public_url or "https://") + path_of(endpoint)
    draft = make_delivery(spec, options, now=now.timestamp(), url=url, event_type=event_type).draft
    secrets = live_secrets(endpoint, now)
    if not secrets:
        return draft, None
    issued = issue(spec, options)
    if issued.is_shared:
        return sign(spec, options, secrets[0].value, draft), None
    return sign(spec, options, issued.signing, draft), issued
