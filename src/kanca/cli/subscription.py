"""``kanca subscription``: who is sent events."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kanca.cli.options import Cursor, Limit, given, read_assignments
from kanca.cli.output import Output, details, page
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="subscription", help="Receivers that events are sent to.", no_args_is_help=True)

SubscriptionId = Annotated[str, typer.Argument(metavar="ID", help="sub_…, or the id that was chosen.")]
Name = Annotated[str | None, typer.Option(help="What people call it.", show_default=False)]
Source = Annotated[
    list[str],
    typer.Option(
        help="An endpoint (id or slug) whose events it gets besides published ones, or `operational`; may be repeated."
    ),
]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter", help="CEL over `event`; where it is not true, nothing is sent.", show_default=False
    ),
]
Transform = Annotated[
    str | None,
    typer.Option(
        help="CEL over `event`: what is sent as the body, in place of the envelope.", show_default=False
    ),
]
Credential = Annotated[
    str | None,
    typer.Option(help="A credential that requests carry besides the signature.", show_default=False),
]
Challenge = Annotated[
    bool | None,
    typer.Option(
        "--challenge/--no-challenge",
        help="Send nothing until the receiver has echoed a token.",
        show_default=False,
    ),
]
Fifo = Annotated[
    bool | None,
    typer.Option(
        "--fifo/--no-fifo", help="Send one after the other, in the order of the events.", show_default=False
    ),
]
Secret = Annotated[
    str | None,
    typer.Option(help="What deliveries are signed with. Default: a new one.", show_default=False),
]
Others = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Anything else, such as timeout=5, headers='{…}' or retry_config='{…}'; may be repeated. VALUE is JSON "
        "or a text.",
    ),
]

SUBSCRIPTIONS = ("webhooks", "subscriptions")


@app.command("list")
@speaks_to_server
def list_subscriptions(
    server: Server,
    output: Output,
    *,
    tenant: Annotated[
        str | None, typer.Option(help="Only those with this label.", show_default=False)
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List the subscriptions, the newest first."""
    columns = ("id", "name", "status", "events", "url", "hint")
    answer = server.get(*SUBSCRIPTIONS, tenant=tenant, limit=limit, cursor=cursor)
    output.show(answer, page(*columns, whole=["url"]))


@app.command()
@speaks_to_server
def create(
    server: Server,
    output: Output,
    to: Annotated[str, typer.Argument(metavar="URL", help="Where events are sent.")],
    events: Annotated[
        list[str],
        typer.Argument(metavar="EVENT...", help="Event types or wildcards: order.created, 'order.*', '*'."),
    ],
    *,
    chosen_id: Annotated[
        str | None, typer.Option("--id", help="An id of your choice.", show_default=False)
    ] = None,
    name: Name = None,
    tenant: Annotated[
        str | None, typer.Option(help="Only events with this label are sent.", show_default=False)
    ] = None,
    secret: Secret = None,
    signature: Annotated[
        str | None,
        typer.Option(help="standard, ed25519 or hex. Default: standard.", show_default=False),
    ] = None,
    source: Source = [],  # noqa: B006 - Typer reads the default, nobody changes it
    condition: Filter = None,
    transform: Transform = None,
    credential: Credential = None,
    challenge: Challenge = None,
    fifo: Fifo = None,
    others: Others = [],  # noqa: B006 - as above
) -> None:
    """Create a subscription, and show its secret in full."""
    asked = read_assignments(others) | given(
        url=to,
        events=events,
        id=chosen_id,
        name=name,
        tenant=tenant,
        secret=secret,
        signature=signature,
        sources=source,
        filter=condition,
        transform=transform,
        credential=credential,
        challenge=challenge,
        fifo=fifo,
    )
    output.show(server.post(*SUBSCRIPTIONS, body=asked), details)


@app.command()
@speaks_to_server
def show(server: Server, output: Output, subscription_id: SubscriptionId) -> None:
    """Show a subscription and how its receiver is."""
    output.show(server.get(*SUBSCRIPTIONS, subscription_id), details)


@app.command()
@speaks_to_server
def update(
    server: Server,
    output: Output,
    subscription_id: SubscriptionId,
    *,
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="Where events are sent.", show_default=False)
    ] = None,
    event: Annotated[
        list[str], typer.Option(help="All event types or wildcards that it wants; may be repeated.")
    ] = [],  # noqa: B006 - as above
    name: Name = None,
    source: Source = [],  # noqa: B006 - as above
    condition: Filter = None,
    transform: Transform = None,
    credential: Credential = None,
    challenge: Challenge = None,
    fifo: Fifo = None,
    others: Others = [],  # noqa: B006 - as above
) -> None:
    """Change a subscription; what is not given stays. An empty filter, transform or credential takes it away."""
    change: dict[str, Any] = read_assignments(others)
    change |= given(url=to, events=event, name=name, sources=source, challenge=challenge, fifo=fifo)
    change |= {
        key: value or None
        for key, value in (("filter", condition), ("transform", transform), ("credential", credential))
        if value is not None
    }
    output.show(server.put(*SUBSCRIPTIONS, subscription_id, body=change), details)


@app.command()
@speaks_to_server
def delete(server: Server, output: Output, subscription_id: SubscriptionId) -> None:
    """Delete a subscription: what is still open for it is skipped."""
    answer = server.delete(*SUBSCRIPTIONS, subscription_id)
    output.show(answer, lambda done: f"Subscription {done['subscription_id']} was deleted")


@app.command()
@speaks_to_server
def test(server: Server, output: Output, subscription_id: SubscriptionId) -> None:
    """Send a test event, and show what was answered."""
    answer = server.post(*SUBSCRIPTIONS, subscription_id, "test")
    output.show(answer, details)
    if answer.data["status"] != "delivered":
        raise typer.Exit(1)


@app.command()
@speaks_to_server
def rotate_secret(
    server: Server,
    output: Output,
    subscription_id: SubscriptionId,
    *,
    secret: Secret = None,
    grace_seconds: Annotated[
        int | None,
        typer.Option(help="How long the old one signs as well. Default: a day.", show_default=False),
    ] = None,
) -> None:
    """Give a subscription a new secret, and show it in full."""
    asked = given(secret=secret, grace_seconds=grace_seconds)
    output.show(server.post(*SUBSCRIPTIONS, subscription_id, "rotate-secret", body=asked), details)


@app.command()
@speaks_to_server
def reveal_secret(server: Server, output: Output, subscription_id: SubscriptionId) -> None:
    """Show a subscription's secrets in full; that you did is logged."""
    output.show(server.post(*SUBSCRIPTIONS, subscription_id, "reveal-secret"), details)


@app.command()
@speaks_to_server
def enable(server: Server, output: Output, subscription_id: SubscriptionId) -> None:
    """Send to it again, whoever switched it off."""
    output.show(server.post(*SUBSCRIPTIONS, subscription_id, "enable"), details)


@app.command()
@speaks_to_server
def disable(server: Server, output: Output, subscription_id: SubscriptionId) -> None:
    """Send nothing to it until it is enabled."""
    output.show(server.put(*SUBSCRIPTIONS, subscription_id, body={"active": False}), details)


@app.command()
@speaks_to_server
def challenge(server: Server, output: Output, subscription_id: SubscriptionId) -> None:
    """Ask its receiver to echo a token."""
    output.show(server.post(*SUBSCRIPTIONS, subscription_id, "challenge"), details)
