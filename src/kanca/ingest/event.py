"""The event that a request becomes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from kanca.domain.dedupe import dedupe_key
from kanca.domain.event import NewEvent
from kanca.domain.ids import EVENT, show_id
from kanca.domain.resume_token import ResumeToken
from kanca.domain.resumption import DECIDED, mark_of
from kanca.ingest.arrival import Arrival
from kanca.ingest.describe import describe_request
from kanca.ingest.reading import Reading
from kanca.ingest.refusal import Refusal

MAX_DESCRIBED_BYTES = 64 * 1024
"""The most that path and headers of an event may take."""

_LARGE_HEADERS = Refusal("headers_too_large")


def make_event(arrival: Arrival, reading: Reading, identifier: UUID, now: float) -> NewEvent | Refusal:
    """The event, received at ``now`` (Unix seconds), without what its endpoint does not store.

    A refusal when its headers are too large to keep, or when what is not to be stored cannot be found.
    """
    request, endpoint = arrival.request, arrival.endpoint
    marks: dict[str, Any] = {"authenticated": arrival.is_authenticated, "test": arrival.is_test}
    body = arrival.body
    if endpoint.redaction is not None:
        left = endpoint.redaction.body(body)
        if isinstance(left, Refusal):
            return left
        if left is not None:
            body, marks["redacted"] = left, True
    if reading.is_json_anyway or body is not arrival.body:
        marks["read_as"] = "application/json"
    if arrival.resume is not None:
        marks["resume"] = mark_of(arrival.resume.address, arrival.resume.decision)
    described = describe_request(
        request.method,
        request.path,
        arrival.client,
        request.headers,
        endpoint.token_headers,
        arrival.headers.get(b"user-agent", b""),
        marks,
    )
    if len(described) > MAX_DESCRIBED_BYTES:
        return _LARGE_HEADERS
    received_at = datetime.fromtimestamp(now, UTC)
    key = None if arrival.is_test else reading.key
    event = NewEvent(
        id=identifier,
        endpoint=endpoint.number,
        tenant=endpoint.tenant,
        type=reading.event_type,
        received_at=received_at,
        source_event_id=reading.source_event_id,
        correlation_id=reading.correlation_id or show_id(EVENT, identifier),
        request=described,
        body=body,
        dedupe_key=None if key is None else dedupe_key(endpoint.number, key),
        dedupe_until=None if key is None else received_at + endpoint.dedupe_window,
    )
    return event if arrival.resume is None else _resuming(event, arrival.resume, endpoint.dedupe_window)


def _resuming(event: NewEvent, token: ResumeToken, window: timedelta) -> NewEvent:
    """The event as one that resumes a wait: of all for the same wait only the first counts, while any address lives."""
    return replace(
        event,
        type=event.type if token.decision is None else DECIDED,
        dedupe_key=token.address.wait_id,
        dedupe_until=max(token.expires_at, event.received_at) + window,
    )
