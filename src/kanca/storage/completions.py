"""What a completion makes of its task's row, for both databases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from kanca.domain.task import (
    Completion,
    Dead,
    Done,
    HandBack,
    Keep,
    Park,
    Records,
    Retry,
    TaskKind,
    TaskState,
    Wait,
    lane_of,
)
from kanca.errors import DatabaseUnavailable
from kanca.storage.halving import MAX_TRANSACTION_BYTES, write_or_halve


class Change(NamedTuple):
    """What changes of a task's row. None: it stays as it is, whatever the worker believes it to be."""

    id: int
    fence: int
    """The row is changed only if it has this one."""
    state: TaskState
    delay: timedelta | None
    """Until it is due; else it is not scheduled."""
    attempt: int | None
    has_progressed: bool
    """It is no suspect any more: a stored step never runs again, so what killed its workers is over."""
    lane: int | None
    kind: TaskKind | None
    ref: UUID | None
    target: int | None
    detail: bytes | None
    """Changes together with ``kind``."""
    signals: int | None
    """Of what is scheduled or parked: it is ready all the same if it has more signals than these."""


def is_end(completion: Completion) -> bool:
    """Whether the task's row goes away."""
    return isinstance(completion.disposition, Done | Dead)


def change_of(completion: Completion) -> Change:
    """Say what changes of a task that does not end."""
    task, after, becomes = completion.task, completion.disposition, completion.becomes
    has_progressed = bool(completion.records.steps)
    about = becomes or task
    return Change(
        task.id,
        task.fence,
        _STATES[type(after)],
        after.delay if isinstance(after, Retry | Wait) else None,
        after.attempt if isinstance(after, Retry) else None,
        has_progressed,
        lane_of(about.kind, about.target) if becomes or has_progressed else None,
        becomes.kind if becomes else None,
        becomes.ref if becomes else None,
        becomes.target if becomes else None,
        becomes.detail if becomes else None,
        task.signals if isinstance(after, Retry | Wait | Park) else None,
    )


_STATES = {
    Retry: TaskState.SCHEDULED,
    Wait: TaskState.SCHEDULED,
    HandBack: TaskState.READY,
    Park: TaskState.PARKED,
    Keep: TaskState.RUNNING,
}

_TASK_BYTES = 100
"""An event may have tens of thousands of deliveries."""

Write = Callable[[Sequence[Completion]], Awaitable[set[int]]]
"""Writes completions of distinct tasks in one transaction; gives the tasks that were still this worker's.

Raises Refused when the database does not take one of the values (then none is written), DatabaseUnavailable when it
takes none.
"""


async def write_each(write: Write, batch: Sequence[Completion]) -> list[bool | Exception]:
    """Answer as ``QueueStore.finish`` promises, on top of a database's ``write``."""

    async def write_part(part: Sequence[Completion]) -> list[bool]:
        mine = await write(part)
        return [completion.task.id in mine for completion in part]

    answers: list[bool | Exception] = []
    for part in _parts(batch):
        try:
            answers += await write_or_halve(write_part, part)
        except DatabaseUnavailable as error:
            if not answers:
                raise
            answers += [error] * len(part)
    return answers


def _parts(batch: Sequence[Completion]) -> Iterator[Sequence[Completion]]:
    """The batch in parts of which none is too large for one transaction, nor speaks of a task twice."""
    start = size_bytes = 0
    seen: set[int] = set()
    for index, completion in enumerate(batch):
        size_bytes += _size_bytes(completion.records)
        if completion.task.id in seen or (size_bytes > MAX_TRANSACTION_BYTES and index > start):
            yield batch[start:index]
            start, size_bytes = index, _size_bytes(completion.records)
            seen.clear()
        seen.add(completion.task.id)
    if start < len(batch):
        yield batch[start:]


def _size_bytes(records: Records) -> int:
    """What is large in them."""
    size = 0
    for outcome in records.outcomes:
        size += len(outcome.result or b"")
    for letter in records.dead_letters:
        size += len(letter.body)
    for step in records.steps:
        size += len(step.input or b"") + len(step.output or b"")
    for event in records.events:
        size += len(event.body)
    for delivery in records.deliveries:
        size += len(delivery.attempt or b"")
    size += len(records.tasks) * _TASK_BYTES
    return size
