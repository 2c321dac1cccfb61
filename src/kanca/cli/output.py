"""What commands print: plain JSON for programs, tables for people.

What senders wrote is shown with its control characters escaped, so that no webhook can steer a terminal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from kanca.cli.http import Answer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

T = TypeVar("T")

_UNLIMITED_COLUMNS = 10_000
_LONGEST_CELL = 60
_INSTANT = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)T(?P<time>\d\d:\d\d:\d\d)(\.\d+)?Z")


@dataclass(frozen=True, slots=True)
class Output:
    """Standard output, in the form that was asked for."""

    as_json: bool

    def show(self, answer: Answer, form: Callable[[Any], RenderableType]) -> None:
        """Print a server's answer: as it came, or in the ``form`` that its data are given for people."""
        if self.as_json:
            write_bytes(answer.body.rstrip(b"\n") + b"\n")
        else:
            self._print(form(answer.data))

    def show_data(self, data: Any, form: Callable[[Any], RenderableType]) -> None:
        """Print data of our own in the same two ways."""
        if self.as_json:
            typer.echo(json.dumps(data, indent=2))
        else:
            self._print(form(data))

    def _print(self, renderable: RenderableType) -> None:
        screen = console()
        with screen.capture() as captured:
            screen.print(renderable)
        # Tables are padded to their width, which would wrap in a narrow terminal.
        typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def console(*, stderr: bool = False) -> Console:
    """A console for people. It never breaks a line: what is copied from it is whole."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stderr else _UNLIMITED_COLUMNS, markup=False, highlight=False)


def write_bytes(body: bytes) -> None:
    """Write exactly these bytes to standard output."""
    sys.stdout.flush()
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def plain(value: object) -> str:
    """A value as a line of text for a terminal: nothing in it is obeyed."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case str():
            return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in value)
        case Mapping() | list():
            return plain(json.dumps(value, ensure_ascii=False))
        case _:
            return str(value)


def table(items: Iterable[Mapping[str, Any]], *names: str, whole: Collection[str] = ()) -> RenderableType:
    """Those members of the items as a table: a row each, long texts cut but in the first and in those in ``whole``."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in names:
        made.add_column(name, no_wrap=True)
    for item in items:
        texts = {name: plain(item.get(name)) for name in names}
        uncut = {names[0], *whole}
        made.add_row(*(Text(text if name in uncut else _short(text)) for name, text in texts.items()))
    return made


def page(*names: str, whole: Collection[str] = ()) -> Callable[[Any], RenderableType]:
    """How a page ``{items, next_cursor?}`` is shown: a table, and how to see what follows."""

    def form(answered: Any) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        items, following = answered["items"], answered.get("next_cursor")
        shown = [table(items, *names, whole=whole) if items else Text("none")]
        if following:
            shown.append(Text(f"more: --cursor {plain(following)}", style="dim"))
        return Group(*shown)

    return form


def details(data: Mapping[str, Any]) -> RenderableType:
    """Every member of one thing, a line each; what has an inside is shown as JSON."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in data.items():
        made.add_row(Text(plain(name)), Text(_block(value)))
    return made


def progress(items: Sequence[T], what: str) -> Iterator[T]:
    """The items, with a bar on a terminal that shows how far they are used up."""
    if not sys.stderr.isatty() or len(items) < 2:
        yield from items
        return
    from rich.progress import track

    yield from track(items, what, console=console(stderr=True), transient=True)


def shown_instant(text: str) -> str:
    """An instant to the second; any other text as it is."""
    instant = _INSTANT.fullmatch(text)
    return f"{instant['date']} {instant['time']}Z" if instant else text


def _short(text: str) -> str:
    """A text as a table shows it: an instant to the second, anything else cut where it is long."""
    text = shown_instant(text)
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "…"


def _block(value: object) -> str:
    if isinstance(value, Mapping | list) and value:
        return "\n".join(plain(line) for line in json.dumps(value, indent=2, ensure_ascii=False).split("\n"))
    if isinstance(value, str):
        return "\n".join(plain(line) for line in value.split("\n"))
    return plain(value)
