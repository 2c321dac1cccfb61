"""What nodes and expressions see of a run: ``event`` and ``run`` (``input`` and ``steps`` are the run's progress)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kanca.bodies import event_data, headers_in
from kanca.domain.event import StoredEvent
from kanca.domain.ids import EVENT, RUN, show_id
from kanca.domain.status import RunOrigin
from kanca.domain.task import RunChange
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


def stored_event_scope(event: StoredEvent) -> dict[str, Any]:
    """``event``, of one that was received or published."""
    return {
        "id": show_id(EVENT, event.id),
        "type": event.type,
        "data": event_data(event),
        "source_event_id": event.source_event_id,
        "correlation_id": event.correlation_id,
        "received_at": event.received_at.isoformat(),
        "headers": _headers(headers_in(event.request)),
    }


def run_scope(run: RunChange) -> dict[str, Any]:
    """``run``: the run itself."""
    return {
        "id": show_id(RUN, run.id),
        "workflow_id": run.workflow_id,
        "version": run.version,
        "started_at": run.started_at.isoformat(),
    }


def _headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers
