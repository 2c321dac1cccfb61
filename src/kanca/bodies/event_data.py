"""The data of a stored event, which every reader of it sees alike: handlers, workflows and the API."""

from __future__ import annotations

from typing import Any

import msgspec

from kanca.bodies.document import Body, read_body
from kanca.bodies.unreadable import Unreadable
from kanca.domain.event import StoredEvent


class _Sent(msgspec.Struct, frozen=True):
    headers: tuple[tuple[str, str], ...] = ()


_read_sent = msgspec.json.Decoder(_Sent).decode


def headers_in(request: bytes) -> tuple[tuple[str, str], ...]:
    """Names and values of the headers in an event's stored request; none for a published event."""
    try:
        return _read_sent(request).headers
    except (msgspec.MsgspecError, UnicodeError):
        return ()


def content_type_of(request: bytes) -> str | None:
    """The content type in an event's stored request, as ingest read it; None for none."""
    values = [value for name, value in headers_in(request) if name.lower() == "content-type"]
    return ", ".join(values) if values else None


def event_body(event: StoredEvent) -> Body:
    """What the event's body says. Raises Unreadable, for what ingest would not take today."""
    return read_body(event.body, content_type_of(event.request))


def event_data(event: StoredEvent) -> Any:
    """The event's data: an envelope's ``data``, else the whole document.

    None for a binary body; a body that cannot be read is its text, as far as it is any.
    """
    try:
        return event_body(event).data
    except Unreadable:
        return event.body.decode(errors="replace")
