"""What ``kanca dev`` gives people to try: a workflow, and two endpoints that start it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kanca.cli.server import Server
from kanca.errors import NotFound

WORKFLOW_ID = "sample"
WORKFLOW = {
    "id": WORKFLOW_ID,
    "name": "Sample",
    "nodes": [
        {"id": "webhook", "type": "WebhookTrigger"},
        {
            "id": "log",
            "type": "Log",
            "config": {"message": "A webhook came in", "fields": {"data": "=input"}},
        },
    ],
    "edges": [{"from": "webhook", "to": "log"}],
}
SLUG = "sample"
STRIPE_SLUG = "sample-stripe"


@dataclass(frozen=True, slots=True)
class Sample:
    """Where the sample is, and what proves a sender to it."""

    path: str
    token: str
    stripe_path: str
    stripe_secret: str


def ensure_sample(server: Server) -> Sample:
    """Create what is not there yet of the sample; what is there is left as it is."""
    from kanca.providers import generate_secret, get_provider

    _ensure_workflow(server)
    found = server.get("api", "webhooks", "endpoints", workflow_id=WORKFLOW_ID, limit=500).data["items"]
    endpoints = {endpoint["slug"]: endpoint for endpoint in found}
    generic = endpoints.get(SLUG) or _create(server, name="Sample", slug=SLUG)
    stripe = endpoints.get(STRIPE_SLUG) or _create(
        server,
        name="Sample of Stripe",
        slug=STRIPE_SLUG,
        provider="stripe",
        secret=generate_secret(get_provider("stripe")),
    )
    return Sample(
        path=generic["endpoint_path"],
        token=_secret(server, generic),
        stripe_path=f"/webhooks/{STRIPE_SLUG}",
        stripe_secret=_secret(server, stripe),
    )


def _ensure_workflow(server: Server) -> None:
    try:
        workflow = server.get("api", "workflows", WORKFLOW_ID).data
    except NotFound:
        workflow = server.post("api", "workflows", body=WORKFLOW).data
    if workflow["published_version"] is None:
        server.post("api", "workflows", WORKFLOW_ID, "publish")


def _create(server: Server, **asked: str) -> dict[str, Any]:
    created: dict[str, Any] = server.post(
        "api", "webhooks", "endpoints", body={"workflow_id": WORKFLOW_ID, **asked}
    ).data
    return created


def _secret(server: Server, endpoint: dict[str, Any]) -> str:
    revealed = server.post("api", "webhooks", "endpoints", endpoint["webhook_id"], "reveal-secret").data
    return str(revealed["secret_token"])
