"""The data of a stored event, which every reader of it sees alike: handlers, workflows and the API."""

from __future__ import annotations

from typing import Any

import msgspec

from kanca.bodies.document import Body, read_body
from kanca.bodies.unreadable import Unreadable
from kanca.domain.event import NewEvent, StoredEvent
from kanca.domain.published import PUBLISHED
from kanca.domain.trace import Trace, read_trace, trace_of_id


class _Sent(msgspec.Struct, frozen=True):
    headers: tuple[tuple[str, str], ...] = ()
    read_as: str | None = None
    """The content type that ingest read the body by, where it was not the sender's."""
    hops: int = 0
    """Of a published event: how often what caused it went through Kanca."""
    traceparent: str | None = None
    """Where the event stands in a trace, if that is not what its sender's headers say."""
    tracestate: str | None = None


_decode = msgspec.json.Decoder(_Sent).decode
_NOTHING_SENT = _Sent()
_STATED = {"event_type", "data"}

HOPS_HEADER = "X-Webhook-Hops"
_MAX_DIGITS = 6
_TRACE_HEADERS = {"traceparent", "tracestate"}


def _sent(request: bytes) -> _Sent:
    try:
        return _decode(request)
    except (msgspec.MsgspecError, UnicodeError):
        return _NOTHING_SENT


def headers_in(request: bytes) -> tuple[tuple[str, str], ...]:
    """Names and values of the headers in an event's stored request; none for a published event."""
    return _sent(request).headers


def hops_in(request: bytes) -> int:
    """How often an event went through Kanca before it came, as its stored request says; 0 where it says nothing.

    One that was received says it in a header, which Kanca gives its own deliveries, and one that was published in
    ``hops``.
    """
    sent = _sent(request)
    if sent.hops:
        return max(sent.hops, 0)
    values = [value.strip() for name, value in sent.headers if name.lower() == HOPS_HEADER.lower()]
    # Several are what proxies or circles made of one: the highest counts.
    return max(
        (int(value[:_MAX_DIGITS]) for value in values if value.isascii() and value.isdigit()), default=0
    )


def trace_of(event: StoredEvent | NewEvent) -> Trace:
    """Where an event stands in a trace: its publisher's or its sender's, or else one of its own."""
    sent = _sent(event.request)
    found = read_trace(sent.traceparent, sent.tracestate) if sent.traceparent else _sender_s_trace(sent)
    return found or trace_of_id(event.id)


def _sender_s_trace(sent: _Sent) -> Trace | None:
    values: dict[str, str] = {}
    for name, value in sent.headers:
        key = name.lower()
        if key in _TRACE_HEADERS:
            values[key] = f"{values[key]},{value}" if key in values else value
    return read_trace(values.get("traceparent"), values.get("tracestate"))


def content_type_of(request: bytes) -> str | None:
    """The content type by which ingest read the body of an event's stored request; None for none."""
    sent = _sent(request)
    if sent.read_as is not None:
        return sent.read_as
    values = [value for name, value in sent.headers if name.lower() == "content-type"]
    return ", ".join(values) if values else None


def event_body(event: StoredEvent) -> Body:
    """What the event's body says. Raises Unreadable, for what ingest would not take today."""
    return read_body(event.body, content_type_of(event.request))


def event_data(event: StoredEvent) -> Any:
    """The event's data: an envelope's ``data``, else the whole document. What was published is any JSON value.

    None for a binary body; a body that cannot be read is its text, as far as it is any.
    """
    try:
        body = event_body(event)
    except Unreadable:
        return event.body.decode(errors="replace")
    said = body.document
    is_stated = event.endpoint == PUBLISHED and isinstance(said, dict) and said.keys() == _STATED
    return said["data"] if is_stated else body.data
