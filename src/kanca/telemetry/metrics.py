"""What processes count, as Prometheus metrics that are correct over all processes of one machine.

Each process writes to files of its own in the directory that the supervisor names in ``PROMETHEUS_MULTIPROC_DIR``;
whoever is asked adds them up (``exposition``). Without that variable (mounted in somebody's app) there is one process,
and its memory is enough. A file goes by the name of its process (``gateway-1``), not by its number: who takes the place
of a dead one goes on counting where that one stopped, so that no counter falls and no file is left over.

Senders choose event types, so the label is bounded: see ``TypeLabels``. What the shared database says is in
``kanca.telemetry.shared``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, values

PROCESS_NAME: Final = "KANCA_PROCESS_NAME"
"""In the environment of a supervised process: what its files go by. Without ``_``."""


def _file_name() -> Callable[[], str]:
    """Says what this process's files go by. What it starts or forks goes by its number, for files have one owner.

    The library asks at every count, so nothing is asked of the system then.
    """
    name = os.environ.pop(PROCESS_NAME)

    def be_another() -> None:
        nonlocal name
        name = str(os.getpid())

    os.register_at_fork(after_in_child=be_another)
    return lambda: name


if PROCESS_NAME in os.environ and "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    # Asked when a metric is made, and that is when this module is imported.
    values.ValueClass = values.MultiProcessValue(_file_name())  # type: ignore[no-untyped-call]  # the library has no types here

OTHER: Final = "other"
MAX_EVENT_TYPES: Final = 200
MOMENTS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds of what is over soon."""

RECEIVED = Counter(
    "webhook_received", "Requests to ingest routes, by answer", ["event_type", "status"], registry=None
)
PROCESSING = Histogram(
    "webhook_processing_duration_seconds",
    "From the receipt of an event until a piece of its work ended",
    ["event_type"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
    registry=None,
)
INGEST_DURATION = Histogram(
    "webhook_ingest_duration_seconds",
    "From the last byte of a webhook until its answer is ready, by status: accepted, duplicate",
    ["status"],
    buckets=MOMENTS,
    registry=None,
)
COMMIT_DURATION = Histogram(
    "webhook_commit_duration_seconds",
    "Transactions that accept events",
    buckets=MOMENTS,
    registry=None,
)
COMMIT_QUEUE = Gauge(
    "webhook_commit_queue_size",
    "Events that wait for a commit to take them",
    registry=None,
    multiprocess_mode="livesum",
)
CLAIM_DURATION = Histogram(
    "webhook_claim_duration_seconds",
    "Looks into the queue for work",
    buckets=MOMENTS,
    registry=None,
)
CLAIMED = Counter("webhook_tasks_claimed", "Tasks that workers took from the queue", ["kind"], registry=None)
ATTEMPTS = Counter(
    "webhook_attempts",
    "Attempts of work, by what it is and result: succeeded, retried (another one is scheduled), dead",
    ["kind", "result"],
    registry=None,
)
RUNS_ENDED = Counter("webhook_runs_ended", "Runs that ended, by status", ["status"], registry=None)
DELIVERIES = Counter(
    "webhook_deliveries",
    "Deliveries that ended, by status: delivered, dead, skipped",
    ["status"],
    registry=None,
)
RESCUED = Counter(
    "webhook_tasks_rescued",
    "Tasks of dead workers, by what became of them: returned (to the queue), lost (dead letters)",
    ["result"],
    registry=None,
)
LEASES_LOST = Counter("webhook_leases_lost", "Leases that workers lost while they were alive", registry=None)
SCHEDULES_MISSED = Counter(
    "webhook_schedules_missed", "Schedules that were come to so late that they started no run", registry=None
)
ALERTS = Counter(
    "webhook_alerts", "Messages to people about trouble, by result: sent, failed", ["result"], registry=None
)
ENDPOINT_COMMITS = Histogram(
    "webhook_commit_batch_size",
    "Events that shared one commit",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=None,
)
ANSWER_FAILURES = Counter(
    "webhook_answer_failures",
    "Answers of endpoints' own whose expression failed, so that the standard one was given",
    registry=None,
)
WAITING = Gauge(
    "webhook_waiting_requests",
    "Requests that are held until the run of their event answers",
    registry=None,
    multiprocess_mode="livesum",
)
FILTERED = Counter(
    "webhook_filtered",
    "Events that their endpoint's filter did not let through",
    ["event_type"],
    registry=None,
)
OUTBOX_LAG = Histogram(
    "webhook_outbox_lag_seconds",
    "From the writing of a row in an outbox until it is an event",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
    registry=None,
)
OUTBOX = Counter(
    "webhook_outbox",
    "Rows of outboxes: moved, duplicate, conflict (of one id), refused",
    ["result"],
    registry=None,
)
DELIVERY_DURATION = Histogram(
    "webhook_delivery_duration_seconds",
    "Attempts of deliveries, by result: delivered, failed",
    ["result"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60),
    registry=None,
)
DELIVERIES_IN_FLIGHT = Gauge(
    "webhook_deliveries_in_flight",
    "Attempts of deliveries that are under way",
    registry=None,
    multiprocess_mode="livesum",
)
MANAGEMENT_REFUSED = Counter(
    "webhook_management_refused",
    "Requests to the management API that were not let in, by the code of the answer",
    ["code"],
    registry=None,
)

BREAKERS_OPEN = Gauge(
    "webhook_breakers_open",
    "Receivers to which nothing is sent for a while, for they failed again and again",
    registry=None,
    multiprocess_mode="livesum",
)
WORKER_SLOTS = Gauge(
    "webhook_worker_slots",
    "Pieces of work that workers can have in hand, by state: busy, free",
    ["state"],
    registry=None,
    multiprocess_mode="livesum",
)
LOOP_LAG = Histogram(
    "webhook_event_loop_lag_seconds",
    "How much too late a process came to what it had to do, by its kind: gateway, worker",
    ["process"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=None,
)
PROCESSES = Gauge(
    "webhook_processes",
    "Processes that are alive, by kind: gateway, worker",
    ["process"],
    registry=None,
    multiprocess_mode="livesum",
)
PROCESS_STARTS = Counter(
    "webhook_process_starts",
    "Processes that were started, by kind; more than there should be means that they die",
    ["process"],
    registry=None,
)

ALL = (
    RECEIVED,
    INGEST_DURATION,
    COMMIT_DURATION,
    ENDPOINT_COMMITS,
    COMMIT_QUEUE,
    ANSWER_FAILURES,
    WAITING,
    FILTERED,
    CLAIM_DURATION,
    CLAIMED,
    ATTEMPTS,
    PROCESSING,
    RUNS_ENDED,
    RESCUED,
    LEASES_LOST,
    SCHEDULES_MISSED,
    DELIVERIES,
    DELIVERY_DURATION,
    DELIVERIES_IN_FLIGHT,
    MANAGEMENT_REFUSED,
    BREAKERS_OPEN,
    OUTBOX,
    OUTBOX_LAG,
    ALERTS,
    WORKER_SLOTS,
    LOOP_LAG,
    PROCESSES,
    PROCESS_STARTS,
)


def note_start(kind: str) -> None:
    """Count this process, a ``gateway`` or a ``worker``, among those that are alive."""
    PROCESSES.labels(kind).set(1)
    PROCESS_STARTS.labels(kind).inc()


class TypeLabels:
    """Event types as labels: the first ``limit`` that came with a proof of their sender; all else is ``other``."""

    def __init__(self, limit: int = MAX_EVENT_TYPES) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def label(self, event_type: str, *, is_authenticated: bool) -> str:
        """The label for an event type."""
        if event_type in self._known:
            return event_type
        if not is_authenticated or len(self._known) >= self._limit:
            return OTHER
        self._known.add(event_type)
        return event_type
