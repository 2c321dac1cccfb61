"""``kanca audit``: who changed what, and who saw a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from kanca.cli.options import Cursor, Limit, Since, Until, given
from kanca.cli.output import Output, details, page
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(
    name="audit", help="The audit log: who changed what, and who saw a secret.", no_args_is_help=True
)

EntryId = Annotated[str, typer.Argument(metavar="ID", help="aud_…")]
Actor = Annotated[
    str | None, typer.Option(help="Done by this kind of actor, id or name.", show_default=False)
]
Action = Annotated[
    str | None, typer.Option(help="endpoint.changed, or endpoint.* for all of them.", show_default=False)
]
Tenant = Annotated[str | None, typer.Option(help="Of this tenant.", show_default=False)]
Subject = Annotated[str | None, typer.Option(help="Done to this id or kind of thing.", show_default=False)]

ENTRIES = ("api", "audit")


@app.command("list")
@speaks_to_server
def list_entries(
    server: Server,
    output: Output,
    *,
    actor: Actor = None,
    action: Action = None,
    subject: Subject = None,
    tenant: Tenant = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> None:
    """List changes and looks at secrets, the newest first."""
    wanted = given(actor=actor, action=action, subject=subject, tenant=tenant, since=since, until=until)
    answer = server.get(*ENTRIES, **wanted, limit=limit, cursor=cursor)
    output.show(answer, _listed)


@app.command()
@speaks_to_server
def show(server: Server, output: Output, entry_id: EntryId) -> None:
    """Show one entry, with what it was before and after."""
    output.show(server.get(*ENTRIES, entry_id), details)


def _listed(answered: Mapping[str, Any]) -> Any:
    """A line for each entry: who and what in a word each."""
    items = [
        item
        | {
            "actor": " ".join(str(part) for part in item["actor"].values() if part),
            "subject": item["subject"]["id"] or item["subject"]["kind"],
            "changed": ", ".join(sorted({*item["before"], *item["after"]}))
            if item["before"] and item["after"]
            else "",
        }
        for item in answered["items"]
    ]
    form = page("id", "at", "actor", "action", "subject", "tenant", "changed", whole={"subject"})
    return form({**answered, "items": items})
