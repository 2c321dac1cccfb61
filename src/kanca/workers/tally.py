"""Counting what came of work: metrics of this process, and dead work in the statistics of endpoints."""

from __future__ import annotations

import collections
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from prometheus_client import Counter, Histogram

from kanca.domain.event import StoredEvent
from kanca.domain.status import RunStatus
from kanca.domain.task import Completion, Dead, Disposition, Done, Retry, TaskKind
from kanca.errors import Unavailable
from kanca.expressions.filtering import FILTERED
from kanca.storage import statistics
from kanca.storage.ports import Database
from kanca.telemetry.metrics import ATTEMPTS, DELIVERIES, PROCESSING, RUNS_ENDED, TypeLabels
from kanca.telemetry.metrics import FILTERED as METRIC
from kanca.workers.calls import HANDLER_WORK
from kanca.workers.settlement import DISPATCH_WORK
from kanca.workers.targets import is_authenticated

log = structlog.get_logger(__name__)

_RESULTS: Final[dict[tuple[TaskKind, type[Disposition]], Counter]] = {
    (kind, disposition): ATTEMPTS.labels(kind.name.lower(), result)
    for kind in TaskKind
    for disposition, result in ((Done, "succeeded"), (Dead, "dead"), (Retry, "retried"))
}
"""By what the task is about when it ends: a dispatch with one target has become that target's work."""
_ENDED: Final = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})


def kind_of(completion: Completion) -> TaskKind:
    """What was done: a dispatch with one target is that target's work, and says so in what it became or recorded."""
    if completion.becomes is not None:
        return completion.becomes.kind
    kind, records = completion.task.kind, completion.records
    if kind is not TaskKind.DISPATCH:
        return kind
    if records.runs:
        return TaskKind.RUN
    is_call = any(outcome.work.startswith(HANDLER_WORK) for outcome in records.outcomes)
    return TaskKind.CALL if is_call else kind


def _count_ends(completion: Completion) -> None:
    for run in completion.records.runs:
        if run.status in _ENDED and not run.is_test:
            RUNS_ENDED.labels(run.status).inc()
    for delivery in completion.records.deliveries:
        DELIVERIES.labels(delivery.status).inc()


class Tally:
    """Counts what was recorded. Waits for nothing: the statistics are written every so often by ``flush``."""

    def __init__(self, database: Database, writer: str, now: Callable[[], datetime]) -> None:
        """``writer`` names this process among those that count."""
        self._database = database
        self._writer = writer
        self._now = now
        self._labels = TypeLabels()
        self._histograms: dict[str, Histogram] = {}
        self._dead: collections.Counter[int] = collections.Counter()

    def recorded(self, event: StoredEvent | None, completion: Completion) -> None:
        """Count a completion that was written."""
        counter = _RESULTS.get((kind_of(completion), type(completion.disposition)))
        if counter is None:
            return
        counter.inc()
        _count_ends(completion)
        if event is None or type(completion.disposition) is Retry:
            return
        histogram = self._histograms.get(event.type) or self._histogram(event)
        histogram.observe((self._now() - event.received_at).total_seconds())
        for outcome in completion.records.outcomes:
            if outcome.reason == FILTERED and outcome.work == DISPATCH_WORK:
                self._count_filtered(event)
        for letter in completion.records.dead_letters:
            self._dead[letter.endpoint or 0] += 1

    def _count_filtered(self, event: StoredEvent) -> None:
        is_proven = is_authenticated(event)
        METRIC.labels(self._labels.label(event.type, is_authenticated=is_proven)).inc()

    def _histogram(self, event: StoredEvent) -> Histogram:
        label = self._labels.label(event.type, is_authenticated=is_authenticated(event))
        histogram = PROCESSING.labels(label)
        if label == event.type:
            self._histograms[label] = histogram
        return histogram

    async def flush(self) -> None:
        """Write the statistics. What cannot be written now is kept for the next time."""
        counted = dict(self._dead)
        self._dead.clear()
        if not counted:
            return
        now = self._now()
        rows = [statistics.Counted(endpoint, now, dead=dead) for endpoint, dead in counted.items()]
        try:
            await self._database.write(statistics.add, self._writer, rows)
        except Unavailable as error:
            log.warning("statistics_not_written", code=error.code)
            self._dead.update(counted)
