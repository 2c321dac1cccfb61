"""``kanca doctor``: whether everything is as it should be, and what to do where it is not."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from kanca.cli.output import Output, plain
from kanca.cli.server import AsJson

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def doctor(as_json: AsJson = False) -> None:
    """Say what is wrong, and what to do. The exit code is 1 when something is an error."""
    import asyncio

    from kanca.cli.checks import examine
    from kanca.cli.findings import Level

    findings = asyncio.run(examine())
    Output(as_json).show_data({"findings": [asdict(finding) for finding in findings]}, _lines)
    raise typer.Exit(1 if any(finding.level is Level.ERROR for finding in findings) else 0)


def _lines(data: dict[str, Any]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    lines = Table(box=None, pad_edge=False, show_header=False)
    for finding in data["findings"]:
        what = Text(plain(finding["message"]))
        if finding["advice"]:
            what.append(f"\n→ {plain(finding['advice'])}", style="dim")
        lines.add_row(Text(finding["level"], style=_STYLES[finding["level"]]), Text(finding["subject"]), what)
    return lines
