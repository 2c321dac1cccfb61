"""A request of a sender as a line in the log. Never its body, its query, or a token in its path."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from kanca.domain.ids import EVENT, show_id
from kanca.domain.trace import read_trace
from kanca.ingest.arrival import Arrival
from kanca.ingest.refusal import Refusal
from kanca.ingest.request import Request, Said
from kanca.ingest.routes import template_of
from kanca.telemetry.lines import WEBHOOK, lines

MAX_USER_AGENT = 200


def answered(arrival: Arrival, said: Said) -> None:
    """Write of a request that was taken, or of a handshake."""
    if not lines.are_all:
        return
    fields = _about(arrival) | {"http_status": said.status, "status": arrival.outcome or "handshake"}
    event = arrival.event
    if event is not None:
        fields |= {
            "event_id": show_id(EVENT, arrival.original or event.id),
            "event_type": event.type,
            "source_event_id": event.source_event_id,
            "correlation_id": event.correlation_id,
            "trace_id": _trace_id(arrival, event.id),
        }
    lines.write(WEBHOOK, fields)


def refused(arrival: Arrival, refusal: Refusal) -> None:
    """Write of a request that was refused, and why: not only as its sender is told."""
    if lines.are_any:
        fields = _about(arrival) | _of(refusal) | {"detail": refusal.precise_detail}
        lines.write(WEBHOOK, fields, is_wrong=True)


def unrouted(request: Request, refusal: Refusal) -> None:
    """Write of a request for which there is no endpoint."""
    if lines.are_any:
        fields = {"method": request.method, "route": template_of(request.path), "peer": request.peer}
        lines.write(WEBHOOK, fields | _of(refusal), is_wrong=True)


def _about(arrival: Arrival) -> dict[str, Any]:
    request, endpoint = arrival.request, arrival.endpoint
    now = time.perf_counter()
    agent = arrival.headers.get(b"user-agent")
    return {
        "method": request.method,
        "route": template_of(request.path),
        "webhook_id": endpoint.webhook_id,
        "provider": endpoint.spec.name,
        "tenant": endpoint.tenant,
        "client": arrival.client,
        "user_agent": None if agent is None else agent[:MAX_USER_AGENT].decode("latin-1"),
        "body_bytes": len(arrival.body),
        "is_test": arrival.is_test or None,
        "verify_ms": _ms(arrival.began, arrival.proven),
        "commit_ms": _ms(arrival.submitted, arrival.stored),
        "duration_ms": _ms(arrival.began, now),
    }


def _trace_id(arrival: Arrival, event_id: UUID) -> str:
    """As ``trace_of`` says it, without reading what was just written."""
    trace = arrival.request.trace
    if trace is None and (parent := arrival.headers.get(b"traceparent")):
        trace = read_trace(parent.decode("latin-1"))
    return event_id.hex if trace is None else trace.trace_id


def _ms(began: float, ended: float) -> float | None:
    return round((ended - began) * 1000, 3) if began and ended else None


def _of(refusal: Refusal) -> dict[str, Any]:
    return {"http_status": refusal.rule.status, "status": "refused", "code": refusal.precise_code}
