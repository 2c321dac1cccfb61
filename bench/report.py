"""How a benchmark says what it found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def report(
    name: str, result: Mapping[str, Any], columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Print one JSON line and a table."""
    print(json.dumps({"benchmark": name, **result}), flush=True)
    table = Table(title=name)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=140).print(table)
