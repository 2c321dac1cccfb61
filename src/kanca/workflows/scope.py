"""What nodes and expressions see of a run: ``event`` and ``run`` (``input`` and ``steps`` are the run's progress)."""

from __future__ import annotations

from typing import Any

from kanca.domain.event import StoredEvent
from kanca.domain.ids import RUN, show_id
from kanca.domain.status import RunOrigin
from kanca.domain.task import RunChange
from kanca.expressions.event_scope import stored_event_scope
from kanca.workflows.values import read_json

BY_HAND_TYPE = "run.manual"
"""The event type of a run that was started by hand."""
_TYPES = {
    RunOrigin.SCHEDULE: "run.scheduled",
    RunOrigin.WORKFLOW: "run.started",
}


def type_of(run: RunChange) -> str:
    """What stands for the event type in a run that no event started."""
    return _TYPES.get(run.origin, BY_HAND_TYPE)


def event_scope(event: StoredEvent | None, run: RunChange) -> dict[str, Any]:
    """``event``: what started the run. Another run has the same keys, with its input as the data."""
    if event is None:
        return {
            "id": None,
            "type": type_of(run),
            "data": None if run.input is None else read_json(run.input),
            "source_event_id": None,
            "correlation_id": None,
            "received_at": run.started_at.isoformat(),
            "headers": {},
        }
    return stored_event_scope(event)


def run_scope(run: RunChange) -> dict[str, Any]:
    """``run``: the run itself."""
    return {
        "id": show_id(RUN, run.id),
        "workflow_id": run.workflow_id,
        "version": run.version,
        "started_at": run.started_at.isoformat(),
    }
