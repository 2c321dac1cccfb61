"""The settings of a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from kanca.settings import Settings
from kanca.storage.instances import Description


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The settings of one worker process."""

    app: str
    """The name of the app that the handlers belong to: workers of one app have the same handlers."""
    concurrency: int
    lease: timedelta
    poll: timedelta
    shutdown: timedelta
    retention: timedelta
    dead_letter_retention: timedelta | None = None
    """None: they go with the day of their event."""
    payload_retention: timedelta | None = None
    """Of endpoints that do not say how long; None: as long as events."""
    published_fields: tuple[str, ...] = ()
    """Paths into the documents of published events, by whose values they are found."""
    audit_retention: timedelta = timedelta(days=365)
    stuck_after: timedelta = timedelta(minutes=5)
    """How long after its time a call may still keep its work from being given up."""
    predecessor: int | None = None
    """The number of a worker whose process is known to have died: its tasks need not wait until its lease is over."""
    describe: Callable[[], Description] | None = None
    """What the worker says of itself as it is entered."""


def worker_settings(
    settings: Settings,
    app: str,
    predecessor: int | None = None,
    describe: Callable[[], Description] | None = None,
) -> WorkerSettings:
    """What a worker needs of the settings."""
    return WorkerSettings(
        app=app,
        concurrency=settings.worker_concurrency,
        lease=timedelta(seconds=settings.worker_lease_seconds),
        poll=timedelta(seconds=settings.worker_poll_seconds),
        shutdown=timedelta(seconds=settings.shutdown_seconds),
        retention=timedelta(days=settings.retention_days),
        dead_letter_retention=_days(settings.dead_letter_retention_days),
        payload_retention=_days(settings.payload_retention_days),
        published_fields=settings.published_indexed_fields,
        audit_retention=timedelta(days=settings.audit_retention_days),
        predecessor=predecessor,
        describe=describe,
    )


def _days(number: int | None) -> timedelta | None:
    return None if number is None else timedelta(days=number)
