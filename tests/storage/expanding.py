"""What an expand half may not do: everything that the code before it could trip over."""

from __future__ import annotations

import re

_ADDED = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(?P<name>[\w.\"]+)", re.IGNORECASE)
_CREATED_INDEX = re.compile(
    r"CREATE (?P<unique>UNIQUE )?INDEX .*? ON (?:ONLY )?(?P<table>[\w.\"]+)", re.IGNORECASE
)
_CREATED_TRIGGER = re.compile(
    r"CREATE TRIGGER \S+ (?P<when>BEFORE|AFTER|INSTEAD OF) .*? ON (?P<table>[\w.\"]+)", re.IGNORECASE
)
_ALTERED = re.compile(r"ALTER TABLE (?:ONLY )?(?P<table>[\w.\"]+) (?P<how>.*)", re.IGNORECASE | re.DOTALL)
_ADDED_COLUMN = re.compile(
    r"ADD (?:COLUMN )?(?!CONSTRAINT\b|CHECK\b|UNIQUE\b|FOREIGN\b|PRIMARY\b)", re.IGNORECASE
)
_HARMLESS = re.compile(
    r"\s*(SELECT|SHOW|PRAGMA|INSERT|COMMENT|SET LOCAL|CREATE (TABLE|FUNCTION|SCHEMA|SEQUENCE)|DROP INDEX)\b",
    re.IGNORECASE,
)
"""Rows are checked by running the code before; an index that is gone makes it slower, not wrong."""
_OWN_BOOKS = re.compile(r"(UPDATE|DELETE FROM) [\w.\"]*schema_version\b", re.IGNORECASE)


class Expansion:
    """Looks at the statements of one migration, in their order."""

    def __init__(self) -> None:
        self._new_tables: set[str] = set()

    def breaks(self, statement: str) -> str | None:
        """Why the code before could not go on after this statement; None when it can."""
        statement = " ".join(statement.split())
        if (added := _ADDED.match(statement)) is not None:
            self._new_tables.add(_bare(added["name"]))
            return None
        if (index := _CREATED_INDEX.match(statement)) is not None:
            is_new = _bare(index["table"]) in self._new_tables
            return (
                "a table that there was may get no unique index" if index["unique"] and not is_new else None
            )
        if (trigger := _CREATED_TRIGGER.match(statement)) is not None:
            is_harmless = trigger["when"].upper() == "AFTER" or _bare(trigger["table"]) in self._new_tables
            return (
                None if is_harmless else "a table that there was may get no trigger that refuses what is done"
            )
        if (altered := _ALTERED.match(statement)) is not None:
            return None if _bare(altered["table"]) in self._new_tables else _breaks_table(altered["how"])
        if _HARMLESS.match(statement) or _OWN_BOOKS.match(statement):
            return None
        return "it takes away, renames or rewrites what there was"


def _breaks_table(how: str) -> str | None:
    if _ADDED_COLUMN.match(how) is None:
        return "a table that there was may only get columns"
    is_required = re.search(r"\bNOT NULL\b", how, re.IGNORECASE)
    has_value = re.search(r"\bDEFAULT\b|\bGENERATED\b", how, re.IGNORECASE)
    return "a column that must have a value needs a default" if is_required and not has_value else None


def _bare(name: str) -> str:
    return name.replace('"', "").rpartition(".")[2].removeprefix("kanca_")
