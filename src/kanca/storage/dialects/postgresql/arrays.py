"""Many rows in one statement: an array for each column, put side by side by ``unnest``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Column
from sqlalchemy.dialects import postgresql

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped


def array_type(column: Column[Any]) -> str:
    """``UUID[]``: the type of an array of the column's values."""
    return f"{column.type.compile(dialect=_DIALECT)}[]"


def arrays_of(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """The columns of rows."""
    return [list(column) for column in zip(*rows, strict=True)]


def unnested(columns: Iterable[Column[Any]], numbers: Iterator[int]) -> str:
    """``unnest($2::UUID[], $3::TEXT[])``, with parameter numbers from ``numbers``."""
    return f"unnest({', '.join(f'${next(numbers)}::{array_type(column)}' for column in columns)})"
