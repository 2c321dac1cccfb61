"""Looking for text in columns of bytes, without regard to case, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement


class _Contains(FunctionElement[bool]):
    """Bytes that are text in UTF-8, and a text in lower case."""

    name = "bytes_contain"
    type = Boolean()
    inherit_cache = True


def bytes_contain(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    """Whether the UTF-8 in a column has ``text`` somewhere; letters beyond ASCII may have to be in the same case."""
    return _Contains(column, text.lower())


@compiles(_Contains, "postgresql")
def _on_server(element: _Contains, compiler: SQLCompiler, **options: Any) -> str:
    column, text = (compiler.process(each, **options) for each in element.clauses)
    return f"(strpos(lower(convert_from({column}, 'UTF8')), {text}) > 0)"


@compiles(_Contains, "sqlite")
def _in_file(element: _Contains, compiler: SQLCompiler, **options: Any) -> str:
    column, text = (compiler.process(each, **options) for each in element.clauses)
    return f"(instr(lower(CAST({column} AS TEXT)), {text}) > 0)"
