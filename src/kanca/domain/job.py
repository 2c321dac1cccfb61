"""Jobs: long changes that a person asked for, done by workers in small portions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class JobKind(StrEnum):
    """What is done."""

    RETRY_DEAD_LETTERS = "dead_letters.retry"
    PURGE_DEAD_LETTERS = "dead_letters.purge"
    ERASE_TENANT = "tenant.erase"


class JobStatus(StrEnum):
    """Where a job is."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is."""

    id: UUID
    kind: JobKind
    tenant: str | None
    wanted: Mapping[str, Any]
    """What it was asked for, as JSON has it."""
    total: int
    """What there was to do when it was asked for."""
    created_at: datetime
    status: JobStatus = JobStatus.PENDING
    portion: int = 0
    """How many portions are behind it."""
    state: Mapping[str, Any] = field(default_factory=dict)
    """Where it goes on, as the kind has it."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """What it did, by what it was done to."""
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Portion:
    """What one portion of a job did."""

    counts: Mapping[str, int]
    state: Mapping[str, Any]
    is_last: bool
