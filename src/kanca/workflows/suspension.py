"""What a run waits for: moments, events, other runs. It says what is due; the execution does it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from kanca.domain.status import WaitStatus
from kanca.domain.wait import Wait, WaitAddress
from kanca.workflows.progress import At, Progress
from kanca.workflows.recording import at_of
from kanca.workflows.runs import NodeFailures, RunDetail, RunState
from kanca.workflows.step import AwaitEvent, AwaitRun


@dataclass(slots=True)
class Suspensions:
    """The nodes of a run that wait."""

    failures: dict[At, NodeFailures] = field(default_factory=dict)
    """Those that failed and have not succeeded since."""
    retrying: set[At] = field(default_factory=set)
    """Those of them whose next attempt is not due."""
    sleeps: dict[At, datetime] = field(default_factory=dict)
    slept: set[At] = field(default_factory=set)
    """Those of the sleeping that may go on: their moment has come, and their step is not made yet."""
    waits: dict[At, Wait] = field(default_factory=dict)
    """As they are stored: a wait stays here when it has ended, until its step is made."""
    to_open: dict[At, AwaitEvent | AwaitRun] = field(default_factory=dict)
    to_close: dict[At, Progress] = field(default_factory=dict)
    """Open ones that nobody needs any more, with what they are part of."""
    begun_at: dict[At, datetime] = field(default_factory=dict)
    """When nodes began that wait, as far as this process knows."""

    @classmethod
    def stored(cls, state: RunState, detail: RunDetail) -> Suspensions:
        """Those that a run has, as it is stored."""
        found = cls(
            failures={at_of(text): failures for text, failures in detail.failures.items()},
            sleeps={at_of(text): until for text, until in detail.sleeps.items()},
        )
        found.retrying = set(found.failures)
        found.update(state.waits, detail.generation)
        return found

    def update(self, waits: Iterable[Wait], generation: int) -> list[At]:
        """Take over waits as they are stored now; gives those that have ended since."""
        ended = []
        for wait in waits:
            if wait.id != WaitAddress(wait.run_id, wait.node_id, wait.iteration, generation).wait_id:
                continue  # from before a person had the run go back
            at = At(wait.node_id, wait.iteration)
            before = self.waits.get(at)
            self.waits[at] = wait
            if before is not None and before.status is WaitStatus.OPEN and before.status is not wait.status:
                ended.append(at)
        return ended

    def holds(self, at: At) -> bool:
        """Whether a node is not to be run now: it waits for something that has not come."""
        wait = self.waits.get(at)
        return (
            at in self.retrying
            or (at in self.sleeps and at not in self.slept)
            or at in self.to_open
            or at in self.to_close
            or (wait is not None and wait.status is WaitStatus.OPEN)
        )

    def ended_wait(self, at: At) -> Wait | None:
        """The wait of a node that has ended with something."""
        wait = self.waits.get(at)
        return wait if wait and wait.status in {WaitStatus.CLAIMED, WaitStatus.TIMED_OUT} else None

    def opened_at(self, at: At) -> datetime | None:
        """When a node began to wait, as it is stored."""
        wait = self.waits.get(at)
        return wait.opened_at if wait else None

    def open_waits(self) -> list[Wait]:
        """Those that are open, as far as is known."""
        return [wait for wait in self.waits.values() if wait.status is WaitStatus.OPEN]

    def next_due(self) -> datetime | None:
        """When something of it is due next."""
        moments = [self.failures[at].due_at for at in self.retrying]
        moments += [until for at, until in self.sleeps.items() if at not in self.slept]
        moments += [wait.due_at for wait in self.open_waits()]
        return min(moments, default=None)

    def drop(self, at: At) -> bool:
        """Forget that a node waits for a moment; whether it did."""
        if not (self.failures or self.sleeps or self.to_open):
            return False
        self.retrying.discard(at)
        self.slept.discard(at)
        had = [self.failures.pop(at, None), self.sleeps.pop(at, None), self.to_open.pop(at, None)]
        return any(each is not None for each in had)
