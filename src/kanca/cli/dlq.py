"""``kanca dlq``: work that is out of attempts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kanca.cli.options import (
    Cursor,
    Endpoint,
    EventType,
    Limit,
    Since,
    Tenant,
    Until,
    Yes,
    confirm,
    given,
    has_options_of,
)
from kanca.cli.output import Output, details, page, progress
from kanca.cli.server import Server, speaks_to_server

app = typer.Typer(name="dlq", help="Dead letters: work that is out of attempts.", no_args_is_help=True)

LetterId = Annotated[str, typer.Argument(metavar="ID", help="dl_…")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")]

LETTERS = ("admin", "dlq")
AT_ONCE = 500
"""Letters that one request gives back: so few that a person sees them go."""
LEFT_TO_A_JOB = 20_000
"""More than a person wants to wait for."""


def _fitting(
    *,
    event_type: EventType = None,
    endpoint: Endpoint = None,
    kind: Annotated[
        str | None, typer.Option(help="handler, workflow, delivery or dispatch.", show_default=False)
    ] = None,
    subscription: Annotated[
        str | None, typer.Option(metavar="ID", help="Of deliveries to this subscription.", show_default=False)
    ] = None,
    workflow: Annotated[
        str | None, typer.Option(metavar="ID", help="Of work of this workflow.", show_default=False)
    ] = None,
    work: Annotated[
        str | None, typer.Option(help="Of this work: handler:NAME or workflow:ID.", show_default=False)
    ] = None,
    code: Annotated[str | None, typer.Option(help="With this kind of failure.", show_default=False)] = None,
    text: Annotated[str | None, typer.Option(help="With this text in the cause.", show_default=False)] = None,
    tenant: Tenant = None,
    since: Since = None,
    until: Until = None,
) -> dict[str, Any]:
    """What asks for the letters that fit the options."""
    return given(
        event_type=event_type,
        webhook_id=endpoint,
        kind=kind,
        subscription_id=subscription,
        workflow_id=workflow,
        work=work,
        code=code,
        text=text,
        tenant=tenant,
        since=since,
        until=until,
    )


@app.command("list")
@speaks_to_server
@has_options_of(_fitting)
def list_letters(
    server: Server, output: Output, wanted: dict[str, Any], *, limit: Limit = 100, cursor: Cursor = None
) -> None:
    """List the dead letters, the oldest first."""
    answer = server.get(*LETTERS, **wanted, limit=limit, cursor=cursor)
    output.show(answer, page("id", "event_type", "work", "code", "error", "attempts", "failed_at"))


@app.command()
@speaks_to_server
def show(server: Server, output: Output, letter_id: LetterId) -> None:
    """Show a dead letter, with its cause."""
    output.show(server.get(*LETTERS, letter_id), details)


@app.command()
@speaks_to_server
def retry(server: Server, output: Output, letter_id: LetterId) -> None:
    """Give one dead letter's work back to the queue, with all its attempts."""
    output.show(server.post(*LETTERS, letter_id, "retry"), details)


@app.command()
@speaks_to_server
def delete(server: Server, output: Output, letter_id: LetterId) -> None:
    """Delete a dead letter: its work is given up."""
    output.show(server.delete(*LETTERS, letter_id), lambda done: str(done["message"]))


@app.command()
@speaks_to_server
@has_options_of(_fitting)
def retry_all(server: Server, output: Output, wanted: dict[str, Any], *, dry_run: DryRun = False) -> None:
    """Give all dead letters that fit back to the queue; without options, all there are."""
    if dry_run:
        answer = server.post(*LETTERS, "retry", body=wanted | {"dry_run": True})
        output.show(answer, lambda found: f"{found['count']} would be retried")
        return
    # As many as there are now, the oldest first: what dies again meanwhile is not retried a second time.
    there_are = server.get(*LETTERS, **wanted, limit=1).data["count"]
    if there_are > LEFT_TO_A_JOB:
        answer = server.post(*LETTERS, "retry", body=wanted)
        output.show(
            answer, lambda done: f"{done['count']} are being retried: kanca job show {done['job_id']}"
        )
        return
    retried = 0
    for first in progress(range(0, there_are, AT_ONCE), "Retrying"):
        asked = wanted | {"limit": min(AT_ONCE, there_are - first)}
        retried += server.post(*LETTERS, "retry", body=asked).data["count"]
    done: dict[str, Any] = {"status": "retry_scheduled", "count": retried}
    output.show_data(done, lambda _: f"{retried} retried" if retried else "none")


@app.command()
@speaks_to_server
@has_options_of(_fitting)
def purge(
    server: Server,
    output: Output,
    wanted: dict[str, Any],
    *,
    everything: Annotated[bool, typer.Option("--all", help="All there are.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Delete all dead letters that fit: their work is given up."""
    wanted |= {"all": True} if everything else {}
    answer = server.post(*LETTERS, "purge", body=wanted | {"dry_run": True})
    if dry_run:
        output.show(answer, lambda found: f"{found['count']} would be deleted")
        return
    confirm(f"Delete {answer.data['count']} dead letters for ever?", is_agreed=yes)
    answer = server.post(*LETTERS, "purge", body=wanted)
    output.show(answer, _purged)


def _purged(done: Any) -> str:
    if done["job_id"]:
        return f"{done['count']} are being deleted: kanca job show {done['job_id']}"
    return f"{done['count']} deleted" if done["count"] else "none"
