"""The duties that a worker does beside its work: each again and again, in its own time."""

from __future__ import annotations

from collections.abc import Mapping

from kanca.queue.cleaner import CLEANED_EVERY, Cleaner
from kanca.queue.duties import Duties, Duty
from kanca.queue.one_for_all import OneForAll
from kanca.queue.payload_cleaner import PayloadCleaner
from kanca.queue.rescuer import Rescuer
from kanca.queue.scheduler import Scheduler, Unparker
from kanca.storage.ports import Database, Waker
from kanca.workers.job_doer import JobDoer
from kanca.workers.turns import TurnGiver
from kanca.workers.worker_settings import WorkerSettings
from kanca.workflows.starting import ScheduleStarter

SCHEDULER = "scheduler"
RESCUER = "rescuer"
TURNS = "turns"
"""Those that a worker hurries."""


def duties_of(
    database: Database,
    waker: Waker,
    settings: WorkerSettings,
    scheduler: Scheduler,
    rescuer: Rescuer,
    turns: TurnGiver,
    samples: Mapping[str, Duty],
) -> Duties:
    """The duties of a worker. ``samples``: measure what it is doing."""
    cleaner = Cleaner(
        database,
        settings.retention,
        dead_letters=settings.dead_letter_retention,
        audit_retention=settings.audit_retention,
    )
    return Duties(
        {
            SCHEDULER: scheduler,
            RESCUER: rescuer,
            "unparker": Unparker(database, waker),
            TURNS: turns,
            "schedules": ScheduleStarter(database, waker),
            "cleaner": OneForAll(database, "cleaner", cleaner, CLEANED_EVERY),
            "payloads": PayloadCleaner(database, settings.payload_retention),
            "jobs": JobDoer(database, waker),
            **samples,
        }
    )
