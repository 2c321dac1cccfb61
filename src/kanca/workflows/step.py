"""What a node is given when it runs, and how it may end or wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kanca.domain.credential import Credentials
from kanca.domain.status import RunStatus
from kanca.egress import EgressClient

MAX_WAIT = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Publication:
    """An event that the node publishes, in the transaction that stores its step: exactly once."""

    id: UUID
    type: str
    data: Any
    source_event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender of the run's event is answered, if it waits."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Left:
    """The node is left by this port, with this output."""

    port: str
    output: Any
    publishes: tuple[Publication, ...] = ()
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """The node goes on at this moment."""

    until: datetime


@dataclass(frozen=True, slots=True)
class AwaitEvent:
    """The node goes on when an event comes for it: one with this key, or one that names the wait."""

    rule: str
    """How keys are made (``workflows.correlation``)."""
    key: str
    timeout: timedelta
    publishes: tuple[Publication, ...] = ()
    """Published before it waits; once more, if a worker dies just then."""


@dataclass(frozen=True, slots=True)
class AwaitRun:
    """The node goes on when a run of another workflow has ended, which is started for it."""

    workflow_id: str
    data: Any
    timeout: timedelta


Suspension = Sleep | AwaitEvent | AwaitRun
"""What a node returns instead of an output to wait; its type's ``resume`` then says how it is left."""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """How a run that was waited for has ended."""

    run_id: str
    status: RunStatus
    output: Any
    error: Any


@dataclass(frozen=True, slots=True)
class Came:
    """What a suspension ended with."""

    event: Mapping[str, Any] | None = None
    """The event, as expressions see one."""
    decision: str | None = None
    """What the address said by which the event came: ``approve``, ``reject``."""
    run: EndedRun | None = None
    is_timeout: bool = False


class StepFailed(Exception):
    """The attempt failed, for a reason that the node knows and people may read."""

    def __init__(
        self, code: str, message: str, *, is_final: bool = False, retry_after: timedelta | None = None
    ) -> None:
        """``is_final``: another attempt would fail the same way. ``retry_after`` replaces the policy's delay."""
        self.code = code
        self.message = message
        self.is_final = is_final
        self.retry_after = retry_after
        super().__init__(message)


@dataclass(slots=True, kw_only=True)
class StepContext:
    """One attempt of one node in one run. Not declared frozen, for making a frozen one takes much longer."""

    input: Any
    """The output of the node before; of several nodes, an object with each one's output under its id."""
    event: Mapping[str, Any]
    """What started the run: ``id``, ``type``, ``data``… (``docs/guides/workflows.md``). ``data`` is the input of a run
    that no event started."""
    run: Mapping[str, Any]
    """``id``, ``workflow_id``, ``version``, ``started_at`` of the run."""
    outputs: Mapping[str, Any]
    """The outputs of the nodes that ran before, under their ids."""
    node_id: str
    iteration: int = 0
    """In the body of a loop, the number of the item, from 1."""
    generation: int = 0
    """How often a person had the run go back."""
    call_id: str
    """The same in every attempt, also after a crash: what others deduplicate by."""
    attempt_number: int
    """1 is the first."""
    timeout: timedelta
    """What this attempt may take."""
    now: datetime
    new_id: Callable[[], UUID] = field(repr=False)
    """Gives ids for what the node makes."""
    http: EgressClient
    """The guarded HTTP client: it reaches no private address unless allowed."""
    is_waiting_trigger: bool = False
    """Whether this is a trigger at which runs wait, not start."""
    credentials: Credentials | None = field(default=None, repr=False)
    """What nodes prove themselves with, by name."""
    resume_urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Where this node's wait, should it wait, can be resumed: under ``resume``, ``approve`` and ``reject``."""
    trace_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """``traceparent`` and ``tracestate`` for the requests that the node makes."""

    @property
    def run_id(self) -> str:
        """``run_…``."""
        return str(self.run["id"])

    @property
    def scope(self) -> Mapping[str, Any]:
        """What expressions see."""
        return {"event": self.event, "input": self.input, "steps": self.outputs, "run": self.run}

    def leave(self, port: str, output: Any = None) -> Left:
        """What a node with several ports returns: the port by which it is left, and its output."""
        return Left(port, output)
