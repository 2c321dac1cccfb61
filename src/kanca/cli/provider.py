"""``kanca provider``: who sends, and how it signs."""

from __future__ import annotations

from typing import Annotated

import typer

from kanca.cli.output import Output, details, page
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="provider", help="Who sends, and how it signs.", no_args_is_help=True)

PROVIDERS = ("api", "providers")


@app.command("list")
@speaks_to_server
def list_providers(server: Server, output: Output) -> None:
    """List the providers that the server knows."""
    output.show(server.get(*PROVIDERS), page("name", "title", "signs", "summary"))


@app.command()
@speaks_to_server
def show(
    server: Server,
    output: Output,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `kanca provider list` names it.")],
) -> None:
    """Show how a provider signs, and where its secret is found."""
    output.show(server.get(*PROVIDERS, name), details)
