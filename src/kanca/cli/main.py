"""The command ``kanca``: its nouns, and what errors become.

An error of Kanca's is one line on standard error and the exit code of its kind (``kanca.errors``); ``--debug`` shows
where it came from.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kanca import __version__
from kanca.cli import (
    audit,
    config,
    credential,
    delivery,
    dlq,
    endpoint,
    event,
    event_type,
    instance,
    job,
    key,
    outbox,
    portal,
    provider,
    replay,
    schedule,
    secret,
    subscription,
    tenant,
    workflow,
)
from kanca.cli import run as run_noun
from kanca.cli.apply import apply
from kanca.cli.backup import backup
from kanca.cli.dev import dev
from kanca.cli.doctor import doctor
from kanca.cli.export import export
from kanca.cli.health import health
from kanca.cli.listen import listen
from kanca.cli.migrate import migrate
from kanca.cli.output import plain
from kanca.cli.publish import publish
from kanca.cli.receive import receive
from kanca.cli.send import send
from kanca.cli.serve import serve
from kanca.errors import KancaError

EXIT_CODES = {
    0: "It worked.",
    1: "Something went wrong that no other code stands for; `doctor` found an error.",
    2: "What was given cannot be: an option, a setting, a definition.",
    3: "The key is missing or wrong, or the request is not allowed.",
    4: "There is no such thing.",
    5: "The present state does not allow it.",
    6: "Not now: no server, no database, too many requests. Trying again later may help.",
    78: "`serve`: a process ended because of a setting or of your app; its message is above.",
    130: "Interrupted.",
}


class Kanca(TyperGroup):
    """The group of all commands."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; errors of ours end it with their exit code."""
        try:
            return super().invoke(ctx)
        except KancaError as error:
            if ctx.params["debug"]:
                traceback.print_exception(error)
            for line in error_lines(error):
                typer.echo(line, err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


def error_lines(error: KancaError) -> list[str]:
    """The error as lines for a terminal: what is wrong and its code, then each problem that the sentence leaves out."""
    code = error.facts.get("code", error.code)
    problems = [
        problem
        for fact in error.facts.values()
        if isinstance(fact, list)
        for problem in fact
        if isinstance(problem, Mapping) and str(problem.get("message")) not in error.detail
    ]
    return [
        f"Error: {plain(error.detail)} ({plain(code)})",
        *(f"  - {_sentence(problem)}" for problem in problems),
    ]


def _sentence(problem: Mapping[str, Any]) -> str:
    where, what = problem.get("node"), plain(problem.get("message"))
    return f"{plain(where)}: {what}" if where else what


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"kanca {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="kanca",
    cls=Kanca,
    no_args_is_help=True,
    rich_markup_mode=None,  # help in colours takes a quarter of a second
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Receive webhooks, run handlers and workflows with them, send webhooks."""


app.command()(serve)
app.command()(dev)
app.command()(migrate)
app.command()(backup)
app.command()(doctor)
app.command()(health)
app.command()(send)
app.command()(publish)
app.command()(receive)
app.command()(listen)
app.command()(apply)
app.command()(export)
for noun in (
    endpoint,
    event,
    event_type,
    workflow,
    run_noun,
    schedule,
    subscription,
    credential,
    key,
    portal,
    delivery,
    replay,
    dlq,
    job,
    tenant,
    outbox,
    provider,
    secret,
    audit,
    instance,
    config,
):
    app.add_typer(noun.app)


def run() -> None:
    """The entry point of the command."""
    sys.exit(app(prog_name="kanca"))
