"""``kanca endpoint``: the addresses that senders call."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kanca.cli.addresses import with_addresses
from kanca.cli.options import Cursor, Limit, given, read_assignments
from kanca.cli.output import Output, details, page
from kanca.cli.rejections import rejection_page
from kanca.cli.server import Server, speaks_to_server
from kanca.cli.specs import SpecFile, read_spec

app = typer.Typer(name="endpoint", help="Addresses that senders call.", no_args_is_help=True)

WebhookId = Annotated[str, typer.Argument(metavar="WEBHOOK_ID", help="wh_ and 24 hexadecimal digits.")]
Name = Annotated[str | None, typer.Option(help="What people call it.", show_default=False)]
Slug = Annotated[str | None, typer.Option(help="A short address: /webhooks/SLUG.", show_default=False)]
Workflow = Annotated[str | None, typer.Option(help="The workflow that its events start.", show_default=False)]
Node = Annotated[
    str | None,
    typer.Option(help="The WebhookTrigger node of that workflow, if it has several.", show_default=False),
]
Secret = Annotated[
    str | None,
    typer.Option(
        help="What the sender signs with. Default: a new one, where ours to choose.", show_default=False
    ),
]
Config = Annotated[
    list[str],
    typer.Option(
        "--config", metavar="KEY=VALUE", help="A key of its config; may be repeated. VALUE is JSON or a text."
    ),
]

ENDPOINTS = ("api", "webhooks", "endpoints")


@app.command("list")
@speaks_to_server
def list_endpoints(
    server: Server,
    output: Output,
    *,
    workflow: Annotated[
        str | None, typer.Option(help="Only those of this workflow.", show_default=False)
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Only those with this label.", show_default=False)
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List the endpoints, the newest first."""
    columns = (
        "webhook_id",
        "name",
        "provider",
        "slug",
        "workflow_id",
        "is_active",
        "is_paused",
        "trigger_count",
        "error_count",
        "endpoint_url",
    )
    answer = server.get(*ENDPOINTS, workflow_id=workflow, tenant=tenant, limit=limit, cursor=cursor)
    output.show(answer, with_addresses(server, page(*columns, whole=["endpoint_url"])))


@app.command()
@speaks_to_server
def create(
    server: Server,
    output: Output,
    *,
    provider: Annotated[
        str | None,
        typer.Option(
            help="Who sends: see `kanca provider list`. Default: generic, or who --spec is of.",
            show_default=False,
        ),
    ] = None,
    name: Name = None,
    slug: Slug = None,
    workflow: Workflow = None,
    node: Node = None,
    secret: Secret = None,
    tenant: Annotated[
        str | None, typer.Option(help="A label that groups what belongs together.", show_default=False)
    ] = None,
    config: Config = [],  # noqa: B006 - Typer reads the default, nobody changes it
    spec: SpecFile = None,
) -> None:
    """Create an endpoint, and show its secret in full."""
    asked = given(
        provider=provider,
        name=name,
        slug=slug,
        workflow_id=workflow,
        node_id=node,
        secret=secret,
        tenant=tenant,
        config=_config(config, spec),
    )
    output.show(server.post(*ENDPOINTS, body=asked), with_addresses(server, details))


@app.command()
@speaks_to_server
def show(server: Server, output: Output, webhook_id: WebhookId) -> None:
    """Show an endpoint and how it is doing."""
    output.show(server.get(*ENDPOINTS, webhook_id), with_addresses(server, details))


@app.command()
@speaks_to_server
def update(
    server: Server,
    output: Output,
    webhook_id: WebhookId,
    *,
    name: Name = None,
    slug: Slug = None,
    workflow: Workflow = None,
    node: Node = None,
    active: Annotated[
        bool | None,
        typer.Option(
            "--active/--inactive", help="An inactive one answers as if it were not there.", show_default=False
        ),
    ] = None,
    config: Config = [],  # noqa: B006 - Typer reads the default, nobody changes it
    spec: SpecFile = None,
) -> None:
    """Change an endpoint; what is not given stays. An empty slug, workflow or node takes it away."""
    change = given(name=name, is_active=active, config=_config(config, spec))
    change |= {
        key: value or None
        for key, value in (("slug", slug), ("workflow_id", workflow), ("node_id", node))
        if value is not None
    }
    output.show(server.put(*ENDPOINTS, webhook_id, body=change), with_addresses(server, details))


@app.command()
@speaks_to_server
def delete(server: Server, output: Output, webhook_id: WebhookId) -> None:
    """Delete an endpoint. Its events stay as long as all do."""
    output.show(server.delete(*ENDPOINTS, webhook_id), lambda done: str(done["message"]))


@app.command()
@speaks_to_server
def pause(server: Server, output: Output, webhook_id: WebhookId) -> None:
    """Accept and store its events, but let their work wait."""
    output.show(server.post(*ENDPOINTS, webhook_id, "pause"), with_addresses(server, details))


@app.command()
@speaks_to_server
def resume(server: Server, output: Output, webhook_id: WebhookId) -> None:
    """Go on with the work that waits."""
    output.show(server.post(*ENDPOINTS, webhook_id, "resume"), with_addresses(server, details))


@app.command()
@speaks_to_server
def rotate_secret(
    server: Server,
    output: Output,
    webhook_id: WebhookId,
    *,
    secret: Secret = None,
    grace_seconds: Annotated[
        int | None,
        typer.Option(help="How long the old one stays valid as well. Default: a day.", show_default=False),
    ] = None,
) -> None:
    """Give an endpoint a new secret, and show it in full."""
    asked = given(secret=secret, grace_seconds=grace_seconds)
    answer = server.post(*ENDPOINTS, webhook_id, "rotate-secret", body=asked)
    output.show(answer, with_addresses(server, details))


@app.command()
@speaks_to_server
def reveal_secret(server: Server, output: Output, webhook_id: WebhookId) -> None:
    """Show an endpoint's secrets in full; that you did is logged."""
    output.show(server.post(*ENDPOINTS, webhook_id, "reveal-secret"), details)


@app.command()
@speaks_to_server
def stats(server: Server, output: Output, webhook_id: WebhookId) -> None:
    """Show how many events came, and how it went."""
    output.show(server.get("api", "webhooks", webhook_id, "stats"), details)


@app.command()
@speaks_to_server
def rejections(
    server: Server,
    output: Output,
    webhook_id: WebhookId,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="With headers and the beginning of the body.", show_default=False)
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List the refused requests: why a webhook does not arrive."""
    answer = server.get("api", "webhooks", webhook_id, "rejections", limit=limit, cursor=cursor)
    output.show(answer, rejection_page(is_full=full))


@app.command()
@speaks_to_server
def events(
    server: Server, output: Output, webhook_id: WebhookId, *, limit: Limit = 50, cursor: Cursor = None
) -> None:
    """List an endpoint's events, the newest first."""
    answer = server.get("api", "webhooks", webhook_id, "events", limit=limit, cursor=cursor)
    output.show(answer, page("id", "event_type", "status", "reason", "received_at", "correlation_id"))


@app.command()
@speaks_to_server
def test(server: Server, output: Output, webhook_id: WebhookId) -> None:
    """Send a test event, signed as its provider would."""
    answer = server.post("api", "webhooks", webhook_id, "test")
    output.show(answer, details)
    if not answer.data["test_successful"]:
        raise typer.Exit(1)


def _config(assignments: list[str], spec: str | None) -> dict[str, Any]:
    """What is said of an endpoint's config. Raises InvalidInput."""
    return read_assignments(assignments) | ({} if spec is None else {"provider_spec": read_spec(spec)})
