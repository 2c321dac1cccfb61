"""Requests and commits as spans, where they are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from kanca.bodies import trace_of
from kanca.domain.event import NewEvent
from kanca.domain.trace import read_trace
from kanca.ingest.request import Request
from kanca.ingest.resuming import shown_path
from kanca.telemetry import tracing
from kanca.telemetry.tracing import Span


def ingest_span(request: Request) -> AbstractContextManager[Span | None]:
    """Answering a request, in its sender's trace if it names one. Its query, which may hold secrets, is not said."""
    found = {
        wanted: b",".join(value for name, value in request.headers if name == wanted).decode("latin-1")
        for wanted in (b"traceparent", b"tracestate")
    }
    attributes = {
        "messaging.operation.type": "receive",
        "http.request.method": request.method,
        "url.path": shown_path(request.path),
        "url.scheme": request.scheme,
    }
    parent = read_trace(found[b"traceparent"], found[b"tracestate"])
    return tracing.request_span(parent, "receive", attributes)


def note_commit(began_ns: int, batch: Sequence[NewEvent]) -> None:
    """A commit that many requests shared: in the trace of none, and linked with all of them."""
    if tracing.is_recording():
        links = [trace_of(event) for event in batch]
        tracing.note("commit", began_ns, links, {"messaging.batch.message_count": len(batch)})
