"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def code(language: str, lines: Iterable[str]) -> str:
    """A block of code."""
    return "\n".join([f"```{language}", *lines, "```"])


def bullets(texts: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {text}" for text in texts)


def row(*cells: Any) -> str:
    """A row of a table."""
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"
