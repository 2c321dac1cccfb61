"""How ``kanca.events`` is called where there are no schemas: ``kanca_events``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.dialects.sqlite.base import SQLiteIdentifierPreparer

from kanca.storage.tables import SCHEMA

_QUALIFIED = re.compile(rf"\b{SCHEMA}\.(?=\w)")


class _Preparer(SQLiteIdentifierPreparer):
    def format_table(self, table: Any, use_schema: bool = True, name: str | None = None) -> str:  # noqa: ARG002  the prefix is part of the name, wherever it stands
        return super().format_table(table, use_schema=True, name=name)


@lru_cache(maxsize=2048)
def _prefixed(statement: str) -> str:
    return _QUALIFIED.sub(f"{SCHEMA}_", statement)


def name_by_prefix(engine: Engine) -> None:
    """Make every statement of ``engine``, DDL and Alembic's included, say ``kanca_x`` where it says ``kanca.x``.

    Done on the finished statement: it holds names and placeholders only, never values.
    """
    engine.dialect.identifier_preparer = _Preparer(engine.dialect)

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def _rename(
        connection: Any,  # noqa: ARG001  the event's signature
        cursor: Any,  # noqa: ARG001
        statement: str,
        parameters: Any,
        context: Any,  # noqa: ARG001
        executemany: bool,  # noqa: ARG001
    ) -> tuple[str, Any]:
        return _prefixed(statement), parameters
