"""The reference page of the command line, read off the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from kanca.cli.main import EXIT_CODES, app

_EVERYWHERE = {"url", "key", "as_json"}
"""Options that the introduction tells of."""

_INTRODUCTION = """\
# Command line

`serve`, `dev`, `migrate`, `doctor`, `config`, `send --to`, `provider verify` and `provider keypair` work by themselves;
the others speak to a running server, and take these options:

| | |
|---|---|
| `--url URL` | The server's address, else `KANCA_URL`, else where `kanca serve` would listen. |
| `--key KEY` | The management key, else `KANCA_ADMIN_KEY`, else what the settings say. |
| `--json` | Print plain JSON and nothing else: what the API answered, as it came. |

Those that print something take `--json` too. Messages and progress go to standard error; where that is not a
terminal, there is no progress bar.

An error is one line on standard error: a sentence and its code. `kanca --debug …` shows where it came from.

| exit code | meaning |
|---|---|
"""


def cli_page() -> str:
    """All commands in Markdown, in the order in which the help names them."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    commands = "".join(
        f"\n{_section(words, command)}" for words, command in _leaves(["kanca"], get_command(app))
    )
    return _INTRODUCTION + codes + commands


def _leaves(words: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    """Every command that does something, with the words that call it."""
    children = getattr(command, "commands", None)
    if children is None:
        yield words, command
        return
    for name, child in children.items():
        yield from _leaves([*words, name], child)


def _section(words: list[str], command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [
        parameter
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.name not in _EVERYWHERE
    ]
    usage = " ".join([*words, *(_placeholder(argument) for argument in arguments)])
    rows = [_row(f"`{_placeholder(argument)}`", argument.help) for argument in arguments]
    rows += [_row(_spelling(option), _sentence(option)) for option in options]
    table = ["", "| | |", "|---|---|", *rows] if rows else []
    return "\n".join([f"## `{usage}`", "", command.help or "", *table, ""])


def _row(name: str, text: str | None) -> str:
    return f"| {name} | {(text or '').replace('|', chr(92) + '|')} |"


def _spelling(option: Any) -> str:
    names = "/".join([*option.opts, *option.secondary_opts])
    return f"`{names}`" if option.is_flag else f"`{names} {_placeholder(option)}`"


def _placeholder(parameter: Any) -> str:
    return str(parameter.metavar or parameter.opts[0].lstrip("-").replace("-", "_").upper())


def _sentence(option: Any) -> str:
    parts = [option.help or ""]
    if option.show_default and option.default not in (None, False, []) and not callable(option.default):
        parts.append(f"Default: {option.default}.")
    if option.envvar:
        parts.append(f"Environment: `{option.envvar}`.")
    return " ".join(parts)
