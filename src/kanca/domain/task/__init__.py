"""Tasks: the rows of the durable queue, and what a worker may say of one when it is done with it.

A task's life:

    ready ──claim──► running ──Done/Dead──► (row gone; an outcome or a dead letter stands for it)
      ▲                │ │ │
      │   HandBack     │ │ └─Park──► parked ──unpark──► ready
      ├────────────────┘ └──Retry, Wait──► scheduled ──due, or for Wait a signal──► ready
      └──rescue (the worker's lease expired: crashes + 1; after the third the task is dead)

``fence`` grows by one with every claim and is never reset. Whoever finishes a task names the fence it was claimed with;
a worker that lost its lease names an old one, and nothing it says is written.

Nothing here is ever changed once it is made. What is made for every single event is not declared ``frozen`` all the
same: making a frozen one takes four times as long, which came to a fifth of a worker's time.
"""

from __future__ import annotations

from kanca.domain.task.queued import (
    DELIVERY_CRASHES,
    DELIVERY_LANES,
    LANES,
    LONGEST_LEASE,
    SUSPECT_CRASHES,
    SUSPECT_LANE,
    NewTask,
    Task,
    TaskKind,
    TaskState,
    lane_of,
    order_key_of,
)
from kanca.domain.task.recorded import (
    Attempt,
    DeadLetter,
    Delivery,
    EventField,
    Outcome,
    Records,
    Replay,
    RunAnswer,
    RunChange,
    Step,
)
from kanca.domain.task.said import (
    Becomes,
    Completion,
    Dead,
    Disposition,
    Done,
    HandBack,
    Keep,
    Park,
    Retry,
    Wait,
)

__all__ = [
    "DELIVERY_CRASHES",
    "DELIVERY_LANES",
    "LANES",
    "LONGEST_LEASE",
    "SUSPECT_CRASHES",
    "SUSPECT_LANE",
    "Attempt",
    "Becomes",
    "Completion",
    "Dead",
    "DeadLetter",
    "Delivery",
    "Disposition",
    "Done",
    "EventField",
    "HandBack",
    "Keep",
    "NewTask",
    "Outcome",
    "Park",
    "Records",
    "Replay",
    "Retry",
    "RunAnswer",
    "RunChange",
    "Step",
    "Task",
    "TaskKind",
    "TaskState",
    "Wait",
    "lane_of",
    "order_key_of",
]
