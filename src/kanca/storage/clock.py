"""The database's clock, as SQL: what due times, leases and windows are compared with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, literal_column, select

from kanca.storage.types import Instant

# Selected, so that it is asked once per statement and an index can be searched with it.
now: ColumnElement[datetime] = select(literal_column("kanca.now()", Instant())).scalar_subquery()
