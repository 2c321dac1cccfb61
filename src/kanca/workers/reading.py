"""From claimed tasks to what they are about, a batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from uuid import UUID

from kanca.domain.event import StoredEvent
from kanca.domain.task import Task, TaskKind, lane_of
from kanca.errors import Unavailable
from kanca.storage.ports import QueueStore
from kanca.workers.catalogue import Catalogue
from kanca.workers.workbench import Held
from kanca.workflows.loading import WorkflowLoader
from kanca.workflows.runs import RunState

_ABOUT_NO_EVENT = (TaskKind.RUN, TaskKind.RETURN, TaskKind.REPLAY)


class Reader:
    """Reads what tasks are about."""

    def __init__(self, queue: QueueStore, catalogue: Catalogue, loader: WorkflowLoader) -> None:
        self.catalogue = catalogue
        self._queue = queue
        self._loader = loader
        # What the catalogue knows belongs to its last reading.
        self._one_at_a_time = asyncio.Lock()

    async def read(self, tasks: Sequence[Task]) -> list[Held]:
        """The tasks with all that is needed to do them. Raises DatabaseUnavailable."""
        async with self._one_at_a_time:
            of_runs = [task for task in tasks if task.kind is TaskKind.RUN]
            states = await self._loader.states(of_runs) if of_runs else {}
            endpoints = {state.event.endpoint for state in states.values() if state.event is not None}
            ids = {task.ref for task in tasks if task.kind not in _ABOUT_NO_EVENT}
            events = await self.catalogue.read(ids, endpoints)
            return [self._held(task, states, events) for task in tasks]

    async def read_alone(self, task: Task) -> Held | tuple[Held, Exception]:
        """The same for one task; with the error, when something about it cannot be read. Raises DatabaseUnavailable."""
        try:
            [held] = await self.read([task])
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the others
            _, events = await self._queue.read_claimed([task.ref])
            lane = lane_of(task.kind, task.target)
            return Held(task, events.get(task.ref), None, None, None, None, lane), error
        return held

    def _held(self, task: Task, states: Mapping[UUID, RunState], events: Mapping[UUID, StoredEvent]) -> Held:
        kind, state = task.kind, None
        if kind is TaskKind.RUN:
            state = states.get(task.ref)
            event = state.event if state else None
        else:
            event = events.get(task.ref)
        return Held(
            task,
            event,
            self.catalogue.sender_of(event) if event else None,
            self.catalogue.targets_of(event) if event and kind is TaskKind.DISPATCH else None,
            state,
            self.catalogue.handler_names.get(task.target) if kind is TaskKind.CALL else None,
            lane_of(kind, task.target),
        )
