"""Arguments and options that several commands share, and how their values are read."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from kanca.errors import InvalidInput

Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="The most items to show.")]
Cursor = Annotated[
    str | None, typer.Option("--cursor", help="Go on where an earlier list ended.", show_default=False)
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="From then on, such as 2026-03-01T12:00:00Z.", show_default=False
    ),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Until before then.", show_default=False)
]
EventType = Annotated[str | None, typer.Option("--type", help="Of this event type.", show_default=False)]
Endpoint = Annotated[
    str | None, typer.Option(metavar="WEBHOOK_ID", help="Of this endpoint.", show_default=False)
]
Tenant = Annotated[str | None, typer.Option(help="With this label.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

STDIN = "-"


def has_options_of(
    reader: Callable[..., dict[str, Any]],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of ``reader``, and what the reader made of them as its argument ``wanted``.

    So options that several commands have are declared and read in one place.
    """
    added = inspect.signature(reader, eval_str=True).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(*args: Any, **options: Any) -> None:
            wanted = reader(**{name: options.pop(name) for name in added})
            command(*args, wanted=wanted, **options)

        signature = inspect.signature(command, eval_str=True)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            parameters += added.values() if parameter.name == "wanted" else [parameter]
        with_options.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # functions have it
        return with_options

    return decorate


def read_file(name: str) -> bytes:
    """The bytes of a file, or of standard input for ``-``. Raises InvalidInput."""
    if name == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.") from None


def read_json(text: str | bytes, what: str) -> Any:
    """The value of a JSON text. Raises InvalidInput, saying that ``what`` is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} is not JSON: {error}.") from None


def read_assignments(assignments: list[str]) -> dict[str, Any]:
    """``["dedupe=off", "max_payload_size=64"]`` as an object: a value is JSON, or else the text itself.

    Raises InvalidInput for what has no ``=``.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator or not name:
            raise InvalidInput(f"Write it as KEY=VALUE, not {assignment!r}.")
        try:
            values[name] = json.loads(text)
        except (ValueError, RecursionError):
            values[name] = text
    return values


def confirm(question: str, *, is_agreed: bool) -> None:
    """Ask before something that cannot be undone, unless it ``is_agreed`` already. Raises InvalidInput.

    Where nobody can answer, nobody is asked: a program has to say beforehand that it agrees.
    """
    if is_agreed:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("This cannot be undone: say --yes.")
    if not typer.confirm(question, err=True):
        raise InvalidInput("Nothing was done.")


def given(**values: Any) -> dict[str, Any]:
    """Those of the values that were given: not None, not empty."""
    return {name: value for name, value in values.items() if value not in (None, {}, [])}
