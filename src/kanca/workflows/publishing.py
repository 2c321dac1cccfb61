"""Events that runs publish."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kanca.bodies import hops_in
from kanca.domain.event import NewEvent
from kanca.domain.ids import RUN, show_id
from kanca.workflows.runs import RunState
from kanca.workflows.step import Publication
from kanca.workflows.values import write_json

PUBLISHED = 0
"""The endpoint number of published events."""


def published(publication: Publication, state: RunState, now: datetime) -> NewEvent:
    """The event that a node of a run publishes. It has the correlation id of the event that started the run."""
    run = state.run
    about: dict[str, Any] = {"method": None, "published_by": show_id(RUN, run.id), "authenticated": True}
    if state.event is not None and (hops := hops_in(state.event.request)):
        about["hops"] = hops  # what goes round through a workflow is told by it
    body = {"event_type": publication.type, "data": publication.data}
    return NewEvent(
        id=publication.id,
        endpoint=PUBLISHED,
        tenant=state.event.tenant if state.event else state.version.tenant,
        type=publication.type,
        received_at=now,
        source_event_id=publication.source_event_id,
        correlation_id=state.event.correlation_id if state.event else show_id(RUN, run.id),
        request=write_json(about),
        body=write_json(body),
        dedupe_key=None,
        dedupe_until=None,
    )
