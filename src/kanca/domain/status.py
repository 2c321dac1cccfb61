"""The lifecycles, each as one enum with its prose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


class EventStatus(StrEnum):
    """What became of an event; derived from its work, never stored."""

    PENDING = "pending"
    """Some of its work is open."""
    SUCCEEDED = "succeeded"
    """All of its work is done, and some of it did something."""
    DEAD = "dead"
    """Some of its work is a dead letter, and none is open."""
    SKIPPED = "skipped"
    """Nothing wanted it; the outcome says why."""


class OutcomeStatus(StrEnum):
    """How one piece of an event's work ended."""

    SUCCEEDED = "succeeded"
    DEAD = "dead"
    SKIPPED = "skipped"
    EXPANDED = "expanded"
    """Not an end: the dispatch turned into several pieces of work, each with an outcome of its own."""


class StepStatus(StrEnum):
    """How a node ended in a run."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Out of attempts, and the run went on all the same: by the node's error port, or as it is told to."""
    DEAD = "dead"
    """Out of attempts, and the run with it. Retrying the dead letter tries the node again."""
    SKIPPED = "skipped"
    """No way led to it."""
    CANCELLED = "cancelled"
    """It was begun, and what it was for was decided without it."""
    REPLACED = "replaced"
    """A person had the run go back behind it: another step of the node stands for it."""


class RunOrigin(StrEnum):
    """What a run came from."""

    EVENT = "event"
    HAND = "hand"
    """A person, over the API."""
    SCHEDULE = "schedule"
    WORKFLOW = "workflow"
    """A run of another workflow."""


class WaitStatus(StrEnum):
    """Where a wait is. Every change but the first is a compare-and-set on ``open``."""

    OPEN = "open"
    CLAIMED = "claimed"
    """What was waited for has come."""
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    """The run needs it no longer, or has failed; a retry opens it again."""


class RunStatus(StrEnum):
    """Where a run of a workflow is."""

    PENDING = "pending"
    """Created, not begun."""
    RUNNING = "running"
    """A worker is at it, or its next attempt is scheduled."""
    WAITING = "waiting"
    """Parked at a node until something arrives."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """A node ran out of attempts; the dead letter has the cause."""
    CANCELLED = "cancelled"


class DeliveryStatus(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    """No attempt has ended."""
    RETRYING = "retrying"
    """An attempt failed, and another one follows."""
    DELIVERED = "delivered"
    DEAD = "dead"
    """Out of attempts, or an answer that makes further ones useless: a dead letter."""
    SKIPPED = "skipped"
    """It was not tried (any more); ``reason`` says why."""


class ReplayStatus(StrEnum):
    """Where a replay is."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class ReplayOnly(StrEnum):
    """Which events of its time a replay sends."""

    FAILED = "failed"
    """Those whose delivery is dead."""
    MISSING = "missing"
    """Those that have no delivery, or one that was skipped."""
    ALL = "all"
    """Delivered ones too."""


UNFINISHED_RUNS = (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING)
"""Runs of which something is still to come."""


NO_DELIVERIES: Mapping[DeliveryStatus, int] = MappingProxyType({})
_AS_OUTCOME: Mapping[DeliveryStatus, OutcomeStatus] = {
    DeliveryStatus.DELIVERED: OutcomeStatus.SUCCEEDED,
    DeliveryStatus.DEAD: OutcomeStatus.DEAD,
    DeliveryStatus.SKIPPED: OutcomeStatus.SKIPPED,
}


def event_status(
    outcomes: Iterable[tuple[OutcomeStatus, int | None]],
    deliveries: Mapping[DeliveryStatus, int] = NO_DELIVERIES,
) -> EventStatus:
    """The status of an event whose outcomes are ``(status, works)``, and of whose deliveries so many have ended.

    ``works`` is the number of pieces of work the event has in all; it stands on the outcome of the dispatch (or of the
    only piece of work), and what replays added to it on one of its own; it is None on every other one. Until it is
    known, and until that many pieces have ended, the event is pending.
    """
    rows = list(outcomes)
    expected = _expected(rows)
    ended = [status for status, _ in rows if status is not OutcomeStatus.EXPANDED]
    if expected is None or len(ended) + sum(deliveries.values()) < expected:
        return EventStatus.PENDING
    ended += [_AS_OUTCOME[status] for status, number in deliveries.items() if number]
    if OutcomeStatus.DEAD in ended:
        return EventStatus.DEAD
    return EventStatus.SUCCEEDED if OutcomeStatus.SUCCEEDED in ended else EventStatus.SKIPPED


def depends_on_deliveries(outcomes: Iterable[tuple[OutcomeStatus, int | None]]) -> bool:
    """Whether an event has work that has no outcome: it is open, or it is deliveries, which have records instead."""
    rows = list(outcomes)
    expected = _expected(rows)
    return expected is not None and expected > sum(status is not OutcomeStatus.EXPANDED for status, _ in rows)


def _expected(outcomes: Iterable[tuple[OutcomeStatus, int | None]]) -> int | None:
    """How many pieces of work there are in all; None while that is not known."""
    known = [works for _, works in outcomes if works is not None]
    return sum(known) if known else None
