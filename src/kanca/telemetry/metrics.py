"""Prometheus metrics, correct over all processes of one machine.

Each process writes to files of its own in the directory that the supervisor names in ``PROMETHEUS_MULTIPROC_DIR``;
whichever gateway is asked adds them up. Without that variable (mounted in somebody's app) there is one process, and its
memory is enough. Senders choose event types, so the label is bounded: see ``TypeLabels``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

OTHER: Final = "other"
MAX_EVENT_TYPES: Final = 200

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
ATTEMPTS = Counter("webhook_attempts", "Attempts of work, by result", ["result"], registry=None)
QUEUE_SIZE = Gauge("webhook_queue_size", "Due inbound tasks", registry=None, multiprocess_mode="mostrecent")
DLQ_SIZE = Gauge("webhook_dlq_size", "Dead letters", registry=None, multiprocess_mode="mostrecent")
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

ALL = (
    RECEIVED,
    PROCESSING,
    ATTEMPTS,
    QUEUE_SIZE,
    DLQ_SIZE,
    ENDPOINT_COMMITS,
    ANSWER_FAILURES,
    WAITING,
    FILTERED,
    OUTBOX,
    DELIVERY_DURATION,
    DELIVERIES_IN_FLIGHT,
    MANAGEMENT_REFUSED,
)


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


def exposition(environ: Mapping[str, str] = os.environ) -> bytes:
    """All metrics in Prometheus's text format."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library has no types here
    else:
        for metric in ALL:
            registry.register(metric)
    return generate_latest(registry)
