"""Looking for text in columns of bytes, without regard to case, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Text, cast, func


def bytes_contain(connection: Connection, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Whether the UTF-8 in a column has ``text`` somewhere; letters beyond ASCII may have to be in the same case."""
    if connection.dialect.name == "postgresql":
        return func.strpos(func.lower(func.convert_from(column, "UTF8")), text.lower()) > 0
    return func.instr(func.lower(cast(column, Text)), text.lower()) > 0
