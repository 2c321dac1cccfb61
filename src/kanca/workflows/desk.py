"""What runs ask of the database between their checkpoints: waits, turns, events and runs they waited for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, Protocol, cast
from uuid import UUID

from sqlalchemy import Connection

from kanca.domain.event import StoredEvent
from kanca.domain.task import RunChange, Task
from kanca.domain.wait import Wait
from kanca.queue.group_commit import GroupCommit
from kanca.storage import events, matching, runs, turns, waits, workflows
from kanca.storage.halving import write_or_halve
from kanca.storage.ports import Database, Waker
from kanca.storage.seeking import Arrival, Arrived, Opening
from kanca.storage.workflows import Workflow

COMMIT_TIMEOUT = timedelta(seconds=10)
MAX_BATCH = 200
MAX_WAITING = 100_000


@dataclass(frozen=True, slots=True)
class News:
    """What others have done to a run."""

    waits: tuple[Wait, ...]
    is_cancelled: bool
    """Somebody wants it to end."""


class Desk(Protocol):
    """Serves the runs of one process. Everything raises Unavailable, and may be asked again."""

    async def open(self, opening: Opening) -> Wait | None:
        """Let a run wait; its wait as it is now, or None when it is over or no longer this worker's."""
        ...

    async def news(self, run_id: UUID) -> News:
        """What others have done to a run."""
        ...

    async def expire(self, wait_ids: Collection[UUID]) -> None:
        """Let waits time out, those that are still open."""
        ...

    async def cancel(self, wait_ids: Collection[UUID]) -> None:
        """Close waits, those that are still open."""
        ...

    async def give_up(self, wait_ids: Collection[UUID]) -> None:
        """Close waits, whatever came: another attempt waits anew."""
        ...

    async def event(self, event_id: UUID) -> StoredEvent | None:
        """An event that came for a run."""
        ...

    async def run(self, run_id: UUID) -> RunChange | None:
        """A run that another one waited for."""
        ...

    async def workflow(self, workflow_id: str) -> Workflow | None:
        """The workflow that a run starts a run of."""
        ...

    async def take_turn(self, run_id: UUID, task: Task, workflow: int, key: str, limit: int, /) -> bool:
        """Whether a run may begin, where only so many may be at it at once. If not, its task is signalled later."""
        ...


class _Question(NamedTuple):
    """A query function, and what it is asked with."""

    query: Callable[..., Any]
    about: Any


class StoredDesk:
    """The desk of a worker: concurrent requests share a transaction, and the same question is asked once."""

    def __init__(self, database: Database, waker: Waker) -> None:
        """``waker``: what is signalled here may be done by others."""
        self._database = database
        self._waker = waker
        self._matches: GroupCommit[Opening | Arrival, Any] = GroupCommit(
            self._match, timeout=COMMIT_TIMEOUT, max_batch=MAX_BATCH, max_waiting=MAX_WAITING
        )
        self._reads: GroupCommit[_Question, Any] = GroupCommit(
            self._read, timeout=COMMIT_TIMEOUT, max_batch=MAX_BATCH, max_waiting=MAX_WAITING
        )

    async def open(self, opening: Opening) -> Wait | None:
        return cast("Wait | None", await self._matches.submit(opening))

    async def arrive(self, arrival: Arrival) -> Arrived:
        """Bring an event to the run that waits for it."""
        return cast("Arrived", await self._matches.submit(arrival))

    async def news(self, run_id: UUID) -> News:
        return cast("News", await self._reads.submit(_Question(_news, run_id)))

    async def expire(self, wait_ids: Collection[UUID]) -> None:
        await self._database.write(waits.expire, wait_ids, await self._database.now())

    async def cancel(self, wait_ids: Collection[UUID]) -> None:
        await self._database.write(waits.cancel, wait_ids, await self._database.now())
        self._waker.wake()

    async def give_up(self, wait_ids: Collection[UUID]) -> None:
        await self._database.write(waits.give_up, wait_ids, await self._database.now())

    async def event(self, event_id: UUID) -> StoredEvent | None:
        return cast("StoredEvent | None", await self._reads.submit(_Question(events.get, event_id)))

    async def run(self, run_id: UUID) -> RunChange | None:
        return cast("RunChange | None", await self._reads.submit(_Question(runs.get, run_id)))

    async def workflow(self, workflow_id: str) -> Workflow | None:
        return cast("Workflow | None", await self._reads.submit(_Question(workflows.get, workflow_id)))

    async def versions(self, workflow_id: str) -> frozenset[int]:
        """The versions of a workflow that runs may wait with: those of unfinished runs, and the published one."""
        return cast("frozenset[int]", await self._reads.submit(_Question(_versions, workflow_id)))

    async def take_turn(self, run_id: UUID, task: Task, workflow: int, key: str, limit: int) -> bool:
        return await self._database.write(turns.take, run_id, task.id, workflow, key, limit)

    async def tell_parent(self, child_run_id: UUID) -> None:
        """Tell the run that waits for this one that it has ended."""
        now = await self._database.now()
        if await self._database.write(_tell_parent, child_run_id, now):
            self._waker.wake()

    async def close(self) -> None:
        """Finish what was asked."""
        await self._matches.close(COMMIT_TIMEOUT)
        await self._reads.close(COMMIT_TIMEOUT)

    async def _read(self, batch: Sequence[_Question]) -> list[Any]:
        answers = await self._database.read(_answer, frozenset(batch))
        return [answers[question] for question in batch]

    async def _match(self, batch: Sequence[Opening | Arrival]) -> list[Any]:
        now = await self._database.now()

        async def write(part: Sequence[Opening | Arrival]) -> list[Any]:
            return await self._database.write(matching.match, part, now)

        answers = await write_or_halve(write, batch)
        self._waker.wake()
        return answers


def _answer(connection: Connection, questions: Collection[_Question]) -> dict[_Question, Any]:
    answers: dict[_Question, Any] = {}
    for question in questions:
        try:
            answers[question] = question.query(connection, question.about)
        except (ValueError, TypeError, LookupError) as error:
            answers[question] = error  # a row that cannot be read is only its asker's trouble
    return answers


def _versions(connection: Connection, workflow_id: str) -> frozenset[int]:
    workflow = workflows.get(connection, workflow_id)
    published = [workflow.published_version] if workflow and workflow.published_version is not None else []
    return frozenset([*waits.versions_in_use(connection, workflow_id), *published])


def _news(connection: Connection, run_id: UUID) -> News:
    run = runs.get(connection, run_id)
    found = waits.of_runs(connection, [run_id]).get(run_id, [])
    return News(tuple(found), run is None or run.cancel_requested_at is not None)


def _tell_parent(connection: Connection, child_run_id: UUID, now: Any) -> bool:
    child = runs.get(connection, child_run_id)
    return child is not None and waits.child_ended(connection, child, now)
