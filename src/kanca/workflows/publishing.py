"""Events that runs publish."""

from __future__ import annotations

from datetime import datetime

from kanca.bodies import hops_in, trace_of
from kanca.domain.event import NewEvent
from kanca.domain.ids import RUN, show_id
from kanca.domain.published import PUBLISHED, published_body, published_request
from kanca.domain.trace import Trace, read_trace, trace_of_id
from kanca.workflows.runs import RunDetail, RunState
from kanca.workflows.step import Publication
from kanca.workflows.values import write_json


def hops_of_run(state: RunState, detail: RunDetail) -> int:
    """How often what started the run, or the run above it, went through Kanca."""
    return detail.hops if state.event is None else hops_in(state.event.request)


def trace_of_run(state: RunState, detail: RunDetail) -> Trace:
    """Where a run stands in a trace: with what started it, or else in one of its own."""
    if state.event is not None:
        return trace_of(state.event)
    return read_trace(detail.traceparent) or trace_of_id(state.run.id)


def published(publication: Publication, state: RunState, detail: RunDetail, now: datetime) -> NewEvent:
    """The event that a node of a run publishes. It has the correlation id of the event that started the run."""
    run = state.run
    hops = hops_of_run(state, detail)  # what goes round through a workflow is told by it
    trace = trace_of_run(state, detail).child(str(publication.id))
    return NewEvent(
        id=publication.id,
        endpoint=PUBLISHED,
        tenant=state.event.tenant if state.event else state.version.tenant,
        type=publication.type,
        received_at=now,
        source_event_id=publication.source_event_id,
        correlation_id=state.event.correlation_id if state.event else show_id(RUN, run.id),
        request=published_request(show_id(RUN, run.id), hops, trace),
        body=published_body(publication.type, write_json(publication.data)),
        dedupe_key=None,
        dedupe_until=None,
    )
