"""``kanca portal``: tokens with which a tenant manages its own subscriptions and deliveries."""

from __future__ import annotations

from typing import Annotated

import typer

from kanca.cli.output import Output, details
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="portal", help="What tenants may do themselves.", no_args_is_help=True)


@app.callback()
def noun() -> None:
    """Keep the command a noun with verbs, although there is one verb."""


@app.command()
@speaks_to_server
def token(
    server: Server,
    output: Output,
    *,
    tenant: Annotated[str, typer.Option(help="Whose subscriptions and deliveries it opens.")],
    expires_in: Annotated[int, typer.Option(help="Seconds that it counts: 60 to 86400.")] = 3600,
    read_only: Annotated[bool, typer.Option("--read-only", help="Let nothing be changed with it.")] = False,
) -> None:
    """Make a token with which a tenant manages its own subscriptions and deliveries, and nothing else."""
    body = {"tenant": tenant, "expires_in_seconds": expires_in, "read_only": read_only}
    output.show(server.post("api", "portal", "tokens", body=body), details)
