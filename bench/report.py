"""How a benchmark says what it found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass(slots=True)
class Report:
    """What is found line by line: the same values for people and for programs."""

    name: str
    columns: Sequence[str]
    result: dict[str, float] = field(default_factory=dict)
    rows: list[list[object]] = field(default_factory=list)

    def add(self, label: str, row: Mapping[str, float], key: str | None = None) -> None:
        """A line. Its values are called ``key_name`` in JSON; without a key the label serves."""
        self.rows.append([label, *row.values()])
        self.result |= {f"{key or label}_{name}".lower(): round(value, 3) for name, value in row.items()}

    def show(self) -> None:
        """Print it."""
        report(self.name, self.result, self.columns, self.rows)
