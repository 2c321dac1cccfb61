"""Looking back through a long list for what fits, without reading all of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, literal, select, union_all

from kanca.errors import InvalidInput

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Effort:
    """How much looking one page may cost."""

    window: int
    """Rows looked at by one query."""
    limit: int
    """Rows looked at in all, after which the rest is left to the next page."""


IN_DATABASE = Effort(window=20_000, limit=200_000)
"""The database says which rows fit."""
ROW_BY_ROW = Effort(window=500, limit=20_000)
"""Whether a row fits has to be found out here."""


class Scan(Generic[K]):
    """Collects up to ``limit`` keys, the newest first, below ``before``, after skipping ``offset`` that fit.

    The caller looks at one window of rows after the other (``while scan.is_on``) and says what it saw. It ends when
    enough is found, when there are no more rows, or when the effort is spent; ``goes_on_before`` then says where the
    next page begins, and is None at the end of the list.
    """

    def __init__(self, limit: int, before: K | None, effort: Effort | None, offset: int = 0) -> None:
        """``effort`` None: everything fits, so the first window is as large as the page."""
        self.found: list[K] = []
        self.is_on = True
        self.goes_on_before: K | None = None
        self.before = before
        self._is_filtered = effort is not None
        # One more than wanted shows whether there is another page.
        self.window = effort.window if effort else limit + offset + 1
        self._rows_left = effort.limit if effort else self.window
        self._limit = limit
        self._skip = offset

    def saw(self, fitting: Sequence[K], last: K | None) -> None:
        """Tell what fits in the window below ``before``, newest first, and its last row (None: it had no rows).

        Raises InvalidInput when the effort is spent on skipping.
        """
        for identifier in fitting:
            if self._skip:
                self._skip -= 1
            elif len(self.found) < self._limit:
                self.found.append(identifier)
            else:
                return self._end(self.found[-1])
        self._rows_left -= self.window
        if last is None or not self._is_filtered:
            return self._end(None)
        if len(self.found) == self._limit:
            # Not behind all that was looked at: who has the cursor reads in it which row that was, and whose it is
            # nobody asked.
            return self._end(self.found[-1])
        if self._rows_left <= 0:
            if self._skip:
                raise InvalidInput(
                    "offset reaches further than one request may look; follow next_cursor instead"
                )
            return self._end(last)
        self.before = last
        return None

    def _end(self, goes_on_before: K | None) -> None:
        self.is_on = False
        self.goes_on_before = goes_on_before


def look(
    connection: Connection,
    table: Table,
    scan: Scan[UUID],
    bounds: Sequence[ColumnElement[bool]],
    wanted: dict[str, Any],
) -> tuple[list[UUID], UUID | None]:
    """Look at the scan's next window of ``table``: the rows within ``bounds``, by descending id.

    Gives the ids of those whose columns have the ``wanted`` values, and the id of the window's last row.
    """
    within = [*bounds, *([table.c.id < scan.before] if scan.before else [])]
    window = (
        select(table.c.id, *(table.c[name] for name in wanted))
        .where(*within)
        .order_by(table.c.id.desc())
        .limit(scan.window)
    )
    if not wanted:
        ids = list(connection.scalars(window))
        return ids, ids[-1] if ids else None
    rows = window.cte("looked_at")
    last = select(rows.c.id, literal(True)).order_by(rows.c.id).limit(1).subquery()
    fits = select(rows.c.id, literal(False)).where(*(rows.c[name] == value for name, value in wanted.items()))
    seen = connection.execute(union_all(fits, select(last))).all()
    fitting = sorted((identifier for identifier, is_last in seen if not is_last), reverse=True)
    return fitting, next((identifier for identifier, is_last in seen if is_last), None)
