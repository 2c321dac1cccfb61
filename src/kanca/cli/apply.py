"""``kanca apply``: a server made to be as a manifest says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.differences import change_lines, difference_lines
from kanca.cli.options import STDIN
from kanca.cli.output import Output, plain
from kanca.cli.server import Server, speaks_to_server
from kanca.errors import InvalidInput, KancaError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kanca.cli.actions import Action
    from kanca.cli.manifest import Manifest
    from kanca.cli.sources import Source

CHANGES = 2
"""The exit code with ``--detailed-exitcode``: Terraform's."""
_STYLES = {"create": "green", "delete": "red", "nothing": "dim", "+": "green", "-": "red", "~": "yellow"}


@speaks_to_server
def apply(
    server: Server,
    output: Output,
    *,
    files: Annotated[
        list[str],
        typer.Option(
            "--file",
            "-f",
            help="What there shall be, as YAML or JSON; a folder is all such files in it; - is standard input."
            " May be repeated.",
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "--plan", help="Show what would be done, and do nothing.")
    ] = False,
    credentials: Annotated[
        bool,
        typer.Option("--credentials", help="Set those credentials and secrets again that are there already."),
    ] = False,
    prune_from: Annotated[
        list[str],
        typer.Option(
            "--prune-from",
            metavar="FILE",
            help="An earlier manifest: what it asks for and FILE does not is deleted. May be repeated.",
        ),
    ] = [],  # noqa: B006 - Typer reads the default, nobody changes it
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    detailed_exitcode: Annotated[
        bool,
        typer.Option(
            "--detailed-exitcode",
            help="As Terraform's: 0 for nothing to do, 1 for an error, 2 for changes (made, or planned).",
        ),
    ] = False,
) -> None:
    """Make event types, credentials, workflows, endpoints and subscriptions be as a manifest says; all or nothing.

    A second time does nothing. Only what it names is touched.
    """
    try:
        actions = _applied(
            server, files, prune_from, is_dry=dry_run, replaces_secrets=credentials, is_sure=yes
        )
    except KancaError as error:
        if not detailed_exitcode:
            raise
        from kanca.cli.main import error_lines

        for line in error_lines(error):
            typer.echo(line, err=True)
        raise typer.Exit(1) from None
    output.show_data(
        {"is_dry_run": dry_run, "actions": [_shown(action) for action in actions]},
        _as_lines(actions, dry_run),
    )
    if detailed_exitcode and _to_do(actions):
        raise typer.Exit(CHANGES)


def _applied(
    server: Server,
    files: Sequence[str],
    prune_from: Sequence[str],
    *,
    is_dry: bool,
    replaces_secrets: bool,
    is_sure: bool,
) -> list[Action]:
    """Plan, and do what was planned, or have the server say whether it can be done."""
    from kanca.cli.actions import Present, Verb
    from kanca.cli.plan import make_plan
    from kanca.cli.present import checked, read_present
    from kanca.cli.pruning import prune
    from kanca.cli.sources import read_sources

    wanted, before = checked(server, _read(files)), _read(prune_from)
    secrets, missing = read_sources(wanted.sources(), os.environ)
    present = read_present(server, wanted)
    actions = make_plan(wanted, present, missing, replaces_secrets=replaces_secrets)
    actions += prune(before, wanted, read_present(server, before) if prune_from else Present())
    deletions = [action for action in actions if action.verb is Verb.DELETE]
    if deletions and not is_dry and not is_sure:
        _ask(deletions, can_ask=STDIN not in files and sys.stdin.isatty())
    send(server, _to_do(actions), secrets, is_dry=is_dry)
    return actions


def send(server: Server, actions: Sequence[Action], secrets: Mapping[Source, str], *, is_dry: bool) -> None:
    """Have the server make all the changes, or none; or with ``is_dry`` say whether it could.

    Raises the error that the server answered with, which says what it is about.
    """
    if not actions:
        return
    changes = [
        {
            "kind": action.kind,
            "verb": action.verb,
            "id": action.id,
            "body": {**action.body, **{part: secrets[source] for part, source in action.secrets.items()}},
            "tenant": action.tenant,
            "updated_at": action.updated_at,
        }
        for action in actions
    ]
    try:
        server.post("api", "apply", body={"changes": changes, "dry_run": is_dry})
    except KancaError as error:
        at = error.facts.pop("change", None)
        if at is None:
            raise
        failed = actions[at]
        place = f"{failed.place} " if failed.place else ""
        why = error.detail.removesuffix(".")
        told = f"{place}{failed.verb} {failed.kind} {failed.id}: {why}. Nothing was changed."
        raise type(error)(told, **error.facts) from error


def _read(files: Sequence[str]) -> Manifest:
    from kanca.cli.documents import read_folder, read_placed_documents
    from kanca.cli.manifest_reader import read_manifest

    names = [name for file in files for name in read_folder(file)]
    return read_manifest(document for name in names for document in read_placed_documents(name))


def _ask(deletions: Sequence[Action], *, can_ask: bool) -> None:
    """Ask whether to delete. Raises InvalidInput when nobody can be asked, and typer.Abort."""
    told = ", ".join(f"{action.kind} {plain(action.id)}" for action in deletions)
    if not can_ask:
        raise InvalidInput(f"This would delete {told}; say --yes if it shall.")
    typer.confirm(f"Delete {told}?", abort=True, err=True)


def _to_do(actions: Sequence[Action]) -> list[Action]:
    from kanca.cli.actions import Verb

    return [action for action in actions if action.verb is not Verb.NOTHING]


def _shown(action: Action) -> dict[str, Any]:
    return {"action": action.verb, "kind": action.kind, "id": action.id, "difference": action.difference}


def _as_lines(actions: Sequence[Action], is_dry_run: bool) -> Callable[[Any], RenderableType]:
    """How the plan is shown: a line for each action, and below it what it changes."""
    lines: list[tuple[str, str]] = []
    for action in actions:
        style = _STYLES.get(action.verb, "yellow")
        lines.append((f"{action.verb:<8} {action.kind} {plain(action.id)}", style))
        if action.difference is not None:
            whole = "nodes" in action.difference
            found = (
                difference_lines(action.difference) if whole else change_lines(action.difference["changes"])
            )
            lines += [(f"           {line}", _STYLES.get(line[:1], "")) for line in found]
    count = len(_to_do(actions))
    if not count:
        lines.append(("Everything is as the manifest says.", ""))
    else:
        lines.append((f"{count} to do; nothing was changed." if is_dry_run else f"{count} done.", "bold"))

    def form(_data: Any) -> RenderableType:
        from rich.text import Text

        return Text("\n").join(Text(line, style=style) for line, style in lines)

    return form
