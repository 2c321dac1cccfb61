"""What the engine needs from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from kanca.domain.credential import Credentials
from kanca.domain.task import Completion, Task
from kanca.domain.wait import WaitAddress
from kanca.egress import EgressClient
from kanca.workflows.calling import Threads
from kanca.workflows.desk import Desk

Record = Callable[[Completion], Awaitable[bool]]
"""Stores a completion whose disposition is ``Keep``. False: the lease is lost, and nothing was stored."""

ResumeUrl = Callable[[WaitAddress, datetime, str | None], str]
"""The address that resumes a run at a wait, until a moment, with a decision."""


def _nobody_watches(_task: Task, _notice: Callable[[], None]) -> AbstractContextManager[object]:
    return nullcontext()


def _never(_workflow: int) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class NodeMeans:
    """What nodes reach others with, in a worker."""

    http: EgressClient
    credentials: Credentials | None = None
    resume_url: ResumeUrl | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the engine needs from outside."""

    http: EgressClient
    """For nodes that call others."""
    threads: Threads
    """For nodes that are sync functions."""
    desk: Desk
    """For what a run asks of the database between its checkpoints."""
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    chance: Callable[[], float]
    """A number from 0 to 1, for the jitter of retries."""
    credentials: Credentials | None = None
    resume_url: ResumeUrl | None = None
    """None where nobody could be given such an address."""
    watch: Callable[[Task, Callable[[], None]], AbstractContextManager[object]] = _nobody_watches
    """Has the callback called when there is news for a task, for as long as the context lasts."""
    is_paused: Callable[[int], bool] = _never
    """Whether runs of the workflow with that number are held."""
