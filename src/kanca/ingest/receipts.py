"""Metrics of answers, counted in memory: a labelled counter costs more than an answer's body."""

from __future__ import annotations

from collections import Counter

from kanca.telemetry.gathering import Gathered
from kanca.telemetry.metrics import INGEST_DURATION, OTHER, RECEIVED, TypeLabels


class Receipts:
    """Counts answers by event type and status: ``accepted``, ``duplicate``, ``handshake``, a refusal's code."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._labels = TypeLabels()
        self._durations = {
            status: Gathered(INGEST_DURATION.labels(status)) for status in ("accepted", "duplicate")
        }

    def taken(self, event_type: str, status: str, duration_s: float, *, is_authenticated: bool) -> None:
        """Count a webhook that was accepted, or had been before."""
        label = self._labels.label(event_type, is_authenticated=is_authenticated)
        self._counts[label, status] += 1
        self._durations[status].observe(duration_s)

    def handshake(self) -> None:
        """Count a handshake: it is no event, and has no type."""
        self._counts[OTHER, "handshake"] += 1

    def refused(self, code: str) -> None:
        """Count a refusal. What its type would have been nobody has vouched for."""
        self._counts[OTHER, code] += 1

    def flush(self) -> None:
        """Hand the counts on to the metrics."""
        counts, self._counts = self._counts, Counter()
        for (event_type, status), count in counts.items():
            RECEIVED.labels(event_type, status).inc(count)
        for durations in self._durations.values():
            durations.flush()
