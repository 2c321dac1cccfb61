"""What comes for a run that waits, in a test: events, decisions and runs of other workflows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kanca.domain.event import DEFAULT_TYPE, StoredEvent
from kanca.domain.ids import derived_id
from kanca.domain.status import WaitStatus
from kanca.domain.task import NewTask, RunChange
from kanca.domain.wait import Wait
from kanca.testing.desk import MemoryDesk
from kanca.testing.events import EVENT_ID
from kanca.workflows.values import write_json


@dataclass(frozen=True, slots=True)
class Timeout:
    """Nothing comes, until the wait is over."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A person decides."""

    decision: str
    """``approve`` or ``reject``."""
    comment: str | None = None
    by: str | None = None


class NotResumed(AssertionError):
    """A run waits for something that the test does not say."""


RunChild = Callable[[RunChange, NewTask], Awaitable[RunChange]]


class Coming:
    """Lets come what a run waits for, as the test says."""

    def __init__(self, resumes: Mapping[str, Any], desk: MemoryDesk, run_child: RunChild) -> None:
        """``resumes``: by node, what comes for it; for a node in a loop a list, by item."""
        self._resumes = resumes
        self._desk = desk
        self._run_child = run_child

    async def bring(self, now: datetime) -> bool:
        """Let come what is waited for now; whether anything came. Raises NotResumed for what nothing is said of."""
        waiting = [wait for wait in self._desk.waits.values() if wait.status is WaitStatus.OPEN]
        for wait in waiting:
            opening = self._desk.openings[wait.id]
            if opening.child is not None:
                ended = await self._run_child(*opening.child)
                self._desk.runs[ended.id] = ended
                self._desk.claim(wait.node_id, iteration=wait.iteration)
                continue
            said = self._said(wait)
            if not isinstance(said, Timeout):
                self._desk.claim(wait.node_id, _event(wait, said, now), wait.iteration)
        return any(self._desk.waits[wait.id].status is not WaitStatus.OPEN for wait in waiting)

    def _said(self, wait: Wait) -> Any:
        if wait.node_id not in self._resumes:
            raise NotResumed(
                f"the run waits at {wait.node_id!r}: say what comes, as resumes={{{wait.node_id!r}: …}}"
            )
        said = self._resumes[wait.node_id]
        if not wait.iteration:
            return said
        if not isinstance(said, list) or len(said) < wait.iteration:
            raise NotResumed(
                f"the run waits at {wait.node_id!r} for item {wait.iteration}: give a list of what comes, by item"
            )
        return said[wait.iteration - 1]


def _event(wait: Wait, said: Any, now: datetime) -> StoredEvent:
    request: dict[str, Any] = {"headers": []}
    data = said
    if isinstance(said, Decision):
        request["resume"] = {"decision": said.decision}
        told = {"comment": said.comment, "by": said.by}
        data = {key: value for key, value in told.items() if value is not None}
    return StoredEvent(
        id=derived_id(EVENT_ID, wait.id.hex, now.isoformat()),
        endpoint=1,
        tenant="default",
        type=DEFAULT_TYPE,
        received_at=now,
        source_event_id=None,
        correlation_id="test",
        request=write_json(request),
        body=write_json(data),
        replay_of=None,
    )
