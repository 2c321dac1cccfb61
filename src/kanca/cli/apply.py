"""``kanca apply``: a server made to be as a file says."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kanca.cli.differences import change_lines, difference_lines
from kanca.cli.documents import read_documents
from kanca.cli.output import Output, plain, progress
from kanca.cli.server import Server, speaks_to_server
from kanca.errors import KancaError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kanca.cli.plan import Action

ENDPOINTS = ("api", "webhooks", "endpoints")
WORKFLOWS = ("api", "workflows")


@speaks_to_server
def apply(
    server: Server,
    output: Output,
    *,
    file: Annotated[
        str, typer.Option("--file", "-f", help="What there shall be, as YAML or JSON; - is standard input.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
    ] = False,
    credentials: Annotated[
        bool,
        typer.Option("--credentials", help="Set those credentials and secrets again that are there already."),
    ] = False,
) -> None:
    """Make credentials, workflows and endpoints be as a file says. Nothing is deleted; a second time does nothing."""
    from kanca.cli.manifest import read_manifest
    from kanca.cli.plan import Verb, make_plan
    from kanca.cli.present import checked, read_present

    wanted = checked(server, read_manifest(read_documents(file)))
    variables = {name for name, value in os.environ.items() if value}
    actions = make_plan(wanted, read_present(server, wanted), variables, replaces_secrets=credentials)
    if not dry_run:
        execute(server, [action for action in actions if action.verb is not Verb.NOTHING], os.environ)
    output.show_data(
        {"is_dry_run": dry_run, "actions": [_shown(action) for action in actions]},
        _as_lines(actions, dry_run),
    )


def execute(server: Server, actions: list[Action], environ: Mapping[str, str]) -> None:
    """Do the actions one after the other.

    Raises the error that the server answered with, which says what was done before and what was not.
    """
    for at, action in enumerate(progress(actions, "applying")):
        try:
            _do(server, action, {part: environ[name] for part, name in action.from_env.items()})
        except KancaError as error:
            done = ", ".join(map(_name, actions[:at])) or "nothing"
            left = ", ".join(map(_name, actions[at + 1 :])) or "nothing"
            told = f"{_name(action)}: {error.detail} Done before it: {done}. Not done after it: {left}."
            raise type(error)(told, **error.facts) from error


def _do(server: Server, action: Action, secrets: Mapping[str, str]) -> None:
    from kanca.cli.plan import Kind, Verb

    body = {**action.body, **secrets}
    match action.kind, action.verb:
        case Kind.CREDENTIAL, _:
            server.put("api", "credentials", action.id, body=body)
        case Kind.WORKFLOW, Verb.CREATE:
            server.post(*WORKFLOWS, body=body, **action.query)
        case Kind.WORKFLOW, Verb.CHANGE:
            server.put(*WORKFLOWS, action.id, body=body)
        case Kind.WORKFLOW, _:
            server.post(*WORKFLOWS, action.id, "publish")
        case Kind.ENDPOINT, Verb.CREATE:
            server.post(*ENDPOINTS, body=body)
        case Kind.ENDPOINT, _:
            server.put(*ENDPOINTS, str(action.webhook_id), body=body)
        case _:
            server.post(*ENDPOINTS, str(action.webhook_id), "rotate-secret", body=body)


def _name(action: Action) -> str:
    return f"{action.verb} {action.kind} {action.id}"


def _shown(action: Action) -> dict[str, Any]:
    return {"action": action.verb, "kind": action.kind, "id": action.id, "difference": action.difference}


def _as_lines(actions: list[Action], is_dry_run: bool) -> Callable[[Any], RenderableType]:
    """How the plan is shown: a line for each action, and below it what it changes."""
    from kanca.cli.plan import Verb

    lines: list[str] = []
    for action in actions:
        lines.append(f"{action.verb:<8} {action.kind} {plain(action.id)}")
        if action.difference is not None:
            whole = "nodes" in action.difference
            found = (
                difference_lines(action.difference) if whole else change_lines(action.difference["changes"])
            )
            lines += [f"           {line}" for line in found]
    count = sum(action.verb is not Verb.NOTHING for action in actions)
    if not count:
        lines.append("Everything is as the file says.")
    else:
        lines.append(f"{count} to do; nothing was changed." if is_dry_run else f"{count} done.")

    def form(_data: Any) -> RenderableType:
        from rich.text import Text

        return Text("\n".join(lines))

    return form
