"""``kanca outbox``: the table through which your own transactions publish events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.output import Output, table
from kanca.cli.server import AsJson

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(
    name="outbox", help="Events that are published in transactions of your own.", no_args_is_help=True
)

Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        help="A database. Default: KANCA_DATABASE_URL and KANCA_OUTBOX_URLS. May be repeated.",
        show_default=False,
    ),
]


@app.command()
def install(url: Urls = None) -> None:
    """Make the table `kanca_outbox`; where it is already, nothing happens."""
    import asyncio

    from kanca.outbound.outbox.install import install as make_table
    from kanca.outbound.outbox.rows import is_installed

    for name, was_there in asyncio.run(_ask_all(_places(url), (is_installed, make_table))):
        there = was_there[0]
        typer.echo(f"{name} has its outbox{' already' if there else ''}.")


@app.command()
def status(url: Urls = None, as_json: AsJson = False) -> None:
    """Show what waits in each outbox, and what the relay has left there because it cannot be published."""
    import asyncio

    from kanca.outbound.outbox.rows import status as ask

    found = asyncio.run(_ask_all(_places(url), (ask,)))
    outboxes = [{"database": name, **answers[0]} for name, answers in found]
    Output(as_json).show_data({"outboxes": outboxes}, _for_people)


def _places(urls: list[str] | None) -> tuple[str, ...]:
    from kanca.app.relaying import outbox_urls
    from kanca.settings import load_settings

    return tuple(urls) if urls else outbox_urls(load_settings())


async def _ask_all(urls: Sequence[str], questions: Sequence[Any]) -> list[tuple[str, list[Any]]]:
    """What each database answers, in one transaction of its own."""
    from kanca.storage.dialects.foreign import open_foreign

    answers: list[tuple[str, list[Any]]] = []
    for url in urls:
        database = open_foreign(url)
        try:
            async with database.transaction() as transaction:
                answers.append((database.name, [await transaction.run(question) for question in questions]))
        finally:
            await database.close()
    return answers


def _for_people(data: dict[str, Any]) -> RenderableType:
    from rich.console import Group

    outboxes = data["outboxes"]
    refused = [
        {**row, "database": each["database"]} for each in outboxes for row in each.get("refused_items", ())
    ]
    shown = [table(outboxes, "database", "is_installed", "waiting", "oldest_at", "refused")]
    if refused:
        shown += ["", table(refused, "database", "position", "id", "event_type", "error", whole={"error"})]
    return Group(*shown)
