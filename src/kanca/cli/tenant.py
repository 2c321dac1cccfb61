"""``kanca tenant``: what is done to all that carries a label."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kanca.cli.options import Yes, confirm
from kanca.cli.output import Output
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="tenant", help="All that carries the label of a tenant.", no_args_is_help=True)


@app.callback()
def tenants() -> None:
    """All that carries the label of a tenant."""


@app.command()
@speaks_to_server
def erase(
    server: Server,
    output: Output,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="The label.")],
    *,
    configuration: Annotated[
        bool, typer.Option("--configuration", help="Also endpoints, subscriptions and workflows.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much there is.")] = False,
    yes: Yes = False,
) -> None:
    """Delete a tenant's events with their payloads, deliveries, runs and dead letters."""
    asked = {"configuration": configuration}
    found = server.post("api", "tenants", tenant, "erase", body=asked | {"dry_run": True})
    if dry_run:
        output.show(found, lambda data: f"There are {_listed(data['counts'])}")
        return
    confirm(f"Erase tenant {tenant}, with {_listed(found.data['counts'])}, for ever?", is_agreed=yes)
    started = server.post("api", "tenants", tenant, "erase", body=asked)
    output.show(started, lambda job: f"It is being erased: kanca job show {job['id']}")


def _listed(counts: Any) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
