"""Tasks as the queue knows them: what is to be done, in which lane, and in which order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from uuid import UUID

LANES = 64
"""Fairness classes of the queue: tasks of one target share a lane, and claims take from all lanes in turn."""

LONGEST_LEASE = timedelta(seconds=300)
"""The most that a worker's lease may be set to; one that lasts longer is from before a clock was set back."""

SUSPECT_CRASHES = 2
"""A task that so many workers died of is a suspect: from then on it runs alone, so that nobody else dies with it."""

SUSPECT_LANE = LANES
"""Where suspects wait: no ordinary claim looks there."""

DELIVERY_LANES = range(LANES + 1, LANES + 1 + 128)
"""Those of deliveries, which are claimed apart from all else: thousands of them may be under way at once."""

DELIVERY_CRASHES = 20
"""Workers that may die holding a delivery. None of the user's code runs in it, and it dies with thousands of others."""


class TaskKind(IntEnum):
    """What a worker has to do."""

    DISPATCH = 1
    """Find an event's targets. ``ref`` is the event, ``target`` the endpoint."""
    CALL = 2
    """Call a handler with an event. ``ref`` is the event, ``target`` the handler."""
    RUN = 3
    """Go on with a run. ``ref`` is the run, ``target`` the workflow."""
    RESUME = 4
    """Bring an event to the run that waits for it. ``ref`` is the event, ``target`` the workflow."""
    RETURN = 5
    """Tell a run that one which it started has ended. ``ref`` is the run that ended, ``target`` its workflow."""
    DELIVER = 6
    """Send an event to a subscription. ``ref`` is the event, ``target`` the subscription."""
    REPLAY = 7
    """Go on with a replay. ``ref`` is the replay, ``target`` the subscription, or 0."""


class TaskState(IntEnum):
    """Where a task is in its life."""

    READY = 0
    """Claimable, in the order of ``position`` within its lane."""
    RUNNING = 1
    """A worker holds it under its lease."""
    SCHEDULED = 2
    """Waits for ``due_at``, or for a signal."""
    PARKED = 3
    """Waits for something else: its endpoint is paused, or an earlier task with its order key is unfinished."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """Work to be done."""

    kind: TaskKind
    ref: UUID
    target: int
    detail: bytes | None = None
    """What the worker needs besides the ids, as JSON: small."""
    order_key: int | None = None
    """Tasks of one target with the same key run one after the other, in the order of their events. Born parked."""
    due_at: datetime | None = None
    """Not before this moment; None is now."""

    @property
    def state(self) -> TaskState:
        """The state it is born in."""
        if self.order_key is not None:
            return TaskState.PARKED
        return TaskState.READY if self.due_at is None else TaskState.SCHEDULED


@dataclass(slots=True)
class Task:
    """A claimed task."""

    id: int
    kind: TaskKind
    ref: UUID
    target: int
    detail: bytes | None
    order_key: int | None
    attempt: int
    """Attempts that failed so far; the one that starts now is number ``attempt + 1``."""
    crashes: int
    """Workers that died holding it since it last stored a step."""
    fence: int
    signals: int = 0
    """How often somebody else had news for it when it was claimed (see ``Wait``)."""


def lane_of(kind: TaskKind, target: int) -> int:
    """The lane of a target's tasks. A multiplicative hash (Knuth): neighbours in number are not neighbours in lane."""
    mixed = (target * 8 + kind) * 2654435761 & 0xFFFFFFFF
    return DELIVERY_LANES.start + (mixed >> 25) if kind is TaskKind.DELIVER else mixed >> 26


def order_key_of(text: str) -> int:
    """An order key as the 63-bit number that the queue compares."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1
