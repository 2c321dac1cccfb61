"""What is known of a run while a process goes on with it: what the parts of its execution share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from kanca.workflows.calling import CallResult, Failed
from kanca.workflows.crew import Crew
from kanca.workflows.progress import At
from kanca.workflows.recording import Recorder, Times
from kanca.workflows.regions import Regions
from kanca.workflows.runs import RunState
from kanca.workflows.surroundings import Surroundings
from kanca.workflows.suspension import Suspensions
from kanca.workflows.validation import Workflow

EARLY = timedelta(milliseconds=20)
"""What is due so soon is done now: clocks differ, and a task that came too early would come again at once."""


@dataclass(slots=True)
class Ended:
    """An attempt of a node that ended."""

    at: At
    input: Any
    attempt_number: int
    times: Times
    result: CallResult


@dataclass(slots=True)
class Stretch:
    """One stretch of one run."""

    around: Surroundings
    state: RunState
    workflow: Workflow
    event: Mapping[str, Any]
    """As expressions see it."""
    recorder: Recorder
    held: Suspensions
    regions: Regions
    at_work: Crew[Ended]
    must_store: bool = False
    """Whether something is new that is not to wait until something else has to be stored."""
    is_cancelled: bool = False
    failure: tuple[Failed, int] | None = None
    """What the run failed of, and after how many attempts."""
    stopped: tuple[Any] | None = None
    """The output of a node that ended the run."""

    def is_decided(self) -> bool:
        """Whether nothing more is to be begun: the run has failed, or a node ended it."""
        return self.failure is not None or self.stopped is not None

    def is_busy(self, at: At) -> bool:
        """Whether a node has begun, or waits, and has not ended."""
        return self.held.holds(at) or at in self.at_work or at.node_id in self.regions.loops
