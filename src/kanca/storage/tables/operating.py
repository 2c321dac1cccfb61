"""What the processes know of each other, count, and have to do."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Identity, Index, Integer, Table, Text, text

from kanca.storage.tables.schema import NEVER_REUSED, metadata
from kanca.storage.types import Id, Instant

versions = Table(
    "versions",
    metadata,
    Column(
        "subject",
        Text,
        primary_key=True,
        comment="endpoints, workflows, handlers: what a process keeps in memory",
    ),
    Column("version", BigInteger, nullable=False),
)


def description_of_instance() -> list[Column[Any]]:
    """What gateways and workers say of themselves. None where one of an older version said nothing."""
    return [
        Column("version", Text, comment="of Kanca"),
        Column("revision", Text, comment="of the schema that it knows"),
        Column("state", Text),
        Column("connections", Integer, comment="to PostgreSQL, that it opens at most"),
        Column("clock_ahead_ms", Integer, comment="of its machine, of the database's"),
    ]


workers = Table(
    "workers",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("hostname", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("app", Text),
    Column("started_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column(
        "active",
        Integer,
        nullable=False,
        server_default="0",
        comment="pieces of work in hand at the last heartbeat",
    ),
    *description_of_instance(),
    **NEVER_REUSED,
)

gateways = Table(
    "gateways",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("hostname", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("address", Text, comment="where it listens"),
    Column("started_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    *description_of_instance(),
    **NEVER_REUSED,
)

duties = Table(
    "duties",
    metadata,
    Column("name", Text, primary_key=True),
    Column("due_at", Instant, nullable=False),
)
"""Periodic duties that one instance does for all: whoever moves ``due_at`` on does it."""

statistics = Table(
    "statistics",
    metadata,
    Column("endpoint", Integer, primary_key=True, autoincrement=False),
    Column(
        "span",
        Integer,
        primary_key=True,
        autoincrement=False,
        comment="seconds: 60, 3600, or 0 for the total",
    ),
    Column("started_at", Instant, primary_key=True),
    Column("writer", Text, primary_key=True),
    Column("accepted", BigInteger, nullable=False, server_default="0"),
    Column("duplicates", BigInteger, nullable=False, server_default="0"),
    Column("rejected", BigInteger, nullable=False, server_default="0"),
    Column("dead", BigInteger, nullable=False, server_default="0"),
    Column(
        "response_us",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="summed over accepted and duplicates",
    ),
    Column("last_accepted_at", Instant),
)

notices = Table(
    "notices",
    metadata,
    Column("kind", Text, primary_key=True, comment="the type of the event that tells of it"),
    Column("subject", Text, primary_key=True, comment="what it is about"),
    Column("tenant", Text, nullable=False),
    Column("first_at", Instant, nullable=False, comment="since it was told last"),
    Column("last_at", Instant, nullable=False),
    Column("count", Integer, nullable=False),
    Column("facts", Text, nullable=False, comment="of the last time, as JSON"),
    Column("told_at", Instant),
    Column("is_due", Boolean, nullable=False, index=True, comment="it is still to be told"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("tenant", Text),
    Column("wanted", Text, nullable=False, comment="what it was asked for, as JSON"),
    Column("status", Text, nullable=False),
    Column("portion", Integer, nullable=False, server_default="0", comment="how many are behind it"),
    Column("state", Text, nullable=False, comment="where it goes on, as JSON"),
    Column("total", BigInteger, nullable=False, comment="what there was to do when it was asked for"),
    Column("counts", Text, nullable=False, comment="what it did, as JSON"),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
)
_GOES_ON = text("finished_at IS NULL")
Index("ix_jobs_unfinished", jobs.c.id, postgresql_where=_GOES_ON, sqlite_where=_GOES_ON)

payload_sweeps = Table(
    "payload_sweeps",
    metadata,
    Column("endpoint", Integer, primary_key=True, autoincrement=False, comment="its number"),
    Column("position", Id, nullable=False, comment="the last event whose payload was looked at"),
)

payloads_in_use = Table(
    "payloads_in_use",
    metadata,
    Column("event_id", Id, primary_key=True, comment="to be expunged once its work has ended"),
    Column("endpoint", Integer, nullable=False, comment="its number"),
    Index(None, "endpoint", "event_id"),
)
