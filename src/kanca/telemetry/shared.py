"""Metrics of what all machines share. The database says the same to whoever is asked: take ``max``, never ``sum``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric


class SharedMetric(NamedTuple):
    """A gauge that is made anew whenever somebody asks."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


DATABASE_UP: Final = SharedMetric("webhook_database_up", "1 when the database answers within three seconds")
QUEUE_SIZE: Final = SharedMetric("webhook_queue_size", "Due inbound tasks, counted up to the limit")
QUEUE_MAX: Final = SharedMetric(
    "webhook_queue_max_size", "The limit of due inbound tasks: from 95 % on webhooks are answered 503"
)
DLQ_SIZE: Final = SharedMetric("webhook_dlq_size", "Dead letters")
DEAD_LETTERS: Final = SharedMetric("webhook_dead_letters", "Dead letters, by what they were", ("kind",))
TASKS: Final = SharedMetric(
    "webhook_tasks", "Tasks, by kind and state: ready, running, scheduled, parked", ("kind", "state")
)
OLDEST_TASK: Final = SharedMetric(
    "webhook_oldest_due_task_age_seconds", "For how long the oldest due task has waited, by kind", ("kind",)
)
RUNS: Final = SharedMetric(
    "webhook_runs_unfinished", "Unfinished runs, by status: pending, running, waiting", ("status",)
)
WAITS: Final = SharedMetric("webhook_waits_open", "Runs' waits for an event, a time or another run")
SUBSCRIPTIONS: Final = SharedMetric(
    "webhook_subscriptions", "Subscriptions, by status: active, inactive, disabled, unverified", ("status",)
)
WORKERS: Final = SharedMetric(
    "webhook_workers_alive", "Worker processes whose lease has not run out, everywhere"
)
SNAPSHOT_AGE: Final = SharedMetric(
    "webhook_oldest_snapshot_age_seconds",
    "The age of the oldest open transaction of the server: what was deleted since slows the queue down",
)
DEDUPE_KEYS: Final = SharedMetric(
    "webhook_dedupe_keys",
    "Keys by which duplicates are known: an estimate; on SQLite counted up to a million",
)
TABLE_BYTES: Final = SharedMetric(
    "webhook_table_size_bytes", "What a table takes with its indexes and partitions (PostgreSQL)", ("table",)
)
DATABASE_BYTES: Final = SharedMetric(
    "webhook_database_size_bytes", "All tables; on SQLite the file and its log"
)
FREE_BYTES: Final = SharedMetric("webhook_disk_free_bytes", "Free on the disk of the database file (SQLite)")
CONNECTIONS: Final = SharedMetric(
    "webhook_database_connections", "Connections of all of Kanca's processes to the database (PostgreSQL)"
)
CONNECTIONS_MAX: Final = SharedMetric(
    "webhook_database_connections_max", "Connections that the server allows to everybody (PostgreSQL)"
)

ALL: Final = (
    DATABASE_UP,
    QUEUE_SIZE,
    QUEUE_MAX,
    TASKS,
    OLDEST_TASK,
    DLQ_SIZE,
    DEAD_LETTERS,
    RUNS,
    WAITS,
    SUBSCRIPTIONS,
    WORKERS,
    SNAPSHOT_AGE,
    DEDUPE_KEYS,
    TABLE_BYTES,
    DATABASE_BYTES,
    FREE_BYTES,
    CONNECTIONS,
    CONNECTIONS_MAX,
)

Labels = tuple[str, ...]


@dataclass(slots=True)
class Readings:
    """What was found, by metric and label values."""

    values: dict[SharedMetric, dict[Labels, float]] = field(default_factory=dict)

    def put(self, metric: SharedMetric, value: float | None, *labels: str) -> None:
        """Note a value; None is no value."""
        if value is not None:
            self.values.setdefault(metric, {})[labels] = value

    def put_each(self, metric: SharedMetric, found: Mapping[Any, float], every: Iterable[str] = ()) -> None:
        """Note a value for each label (texts, or of an enumeration); 0 for those of ``every`` that are not there."""
        for label in every:
            self.put(metric, 0, label)
        for label, value in found.items():
            self.put(metric, value, label)

    def families(self) -> list[Metric]:
        """The readings as Prometheus has them."""
        return [_family(metric, self.values[metric]) for metric in ALL if metric in self.values]


def _family(metric: SharedMetric, values: Mapping[Labels, float]) -> Metric:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
