"""What a published event is, and when two are the same. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from kanca.bodies import MAX_DEPTH, NotJson, Unreadable, read_json, write_json
from kanca.domain.dedupe import Key, dedupe_key
from kanca.domain.event import MAX_SOURCE_ID_LENGTH, MAX_TYPE_LENGTH, NewEvent, StoredEvent, is_name
from kanca.domain.ids import CHOSEN_ID, EVENT, show_id
from kanca.domain.published import PUBLISHED, published_body, published_data, published_request
from kanca.domain.trace import Trace
from kanca.errors import InvalidEvent, PayloadTooLarge

MAX_PAYLOAD_BYTES = 1024 * 1024
"""The largest payload of a published event: it is sent to every subscriber, and kept."""
WINDOW = timedelta(days=7)
"""How long an id that a publisher gave names its event."""
MAX_HOPS = 1_000_000

_BLANK = b" \t\r\n"


def published_event(  # noqa: PLR0913 - all that an event is made of, by name
    new_id: UUID,
    now: datetime,
    *,
    event_type: str,
    payload: Any,
    by: str,
    tenant: str = "default",
    event_id: str | None = None,
    correlation_id: str | None = None,
    hops: int = 0,
    trace: Trace | None = None,
    window: timedelta = WINDOW,
) -> NewEvent:
    """The event that a publisher states.

    ``payload`` is JSON text as bytes, which is kept as it is, or a value that is written as JSON. ``event_id`` is the
    publisher's own id: for as long as ``window`` the same id of the same tenant is the same event. ``by`` says who
    publishes, ``trace`` where in a trace. Raises InvalidEvent, PayloadTooLarge.
    """
    if not is_name(event_type, MAX_TYPE_LENGTH) or event_type.isspace():
        raise InvalidEvent(f"An event type has 1 to {MAX_TYPE_LENGTH} printable characters")
    if not CHOSEN_ID.fullmatch(tenant):
        raise InvalidEvent("A tenant is 1 to 64 letters, digits, `-` or `_`")
    for name, given in (("An event id", event_id), ("A correlation id", correlation_id)):
        if given is not None and not is_name(given, MAX_SOURCE_ID_LENGTH):
            raise InvalidEvent(f"{name} has 1 to {MAX_SOURCE_ID_LENGTH} printable characters")
    data = payload_text(payload)
    return NewEvent(
        id=new_id,
        endpoint=PUBLISHED,
        tenant=tenant,
        type=event_type,
        received_at=now,
        source_event_id=event_id,
        correlation_id=correlation_id or show_id(EVENT, new_id),
        request=published_request(by, min(max(hops, 0), MAX_HOPS), trace),
        body=published_body(event_type, data),
        dedupe_key=None if event_id is None else dedupe_key(PUBLISHED, published_key(tenant, event_id)),
        dedupe_until=None if event_id is None else now + window,
    )


def payload_text(payload: Any) -> bytes:
    """A payload as the JSON text that is stored: bytes as they are, without the blanks around, any other value written.

    Raises InvalidEvent, PayloadTooLarge.
    """
    try:
        text = payload.strip(_BLANK) if isinstance(payload, bytes) else write_json(payload)
        if len(text) > MAX_PAYLOAD_BYTES:
            raise PayloadTooLarge(f"The payload is larger than {MAX_PAYLOAD_BYTES // 1024} KB")
        if text.decode().startswith("\ufeff"):
            raise InvalidEvent("The payload begins with a byte order mark")
        read_json(text, max_depth=MAX_DEPTH - 1)  # what it is stored in is one level more
    except UnicodeDecodeError:
        raise InvalidEvent("The payload is not UTF-8") from None
    except (NotJson, Unreadable) as error:
        reason = str(error).replace("The body", "it", 1)
        raise InvalidEvent(f"The payload cannot be published: {reason}") from None
    return text


def published_key(tenant: str, event_id: str) -> Key:
    """What a published event with an id of the publisher's own is recognised by."""
    return Key(b"published", tenant.encode() + b"\x00" + event_id.encode())


def data_text(event: NewEvent) -> bytes:
    """The data of an event that ``published_event`` made, as they were given."""
    return published_data(event.type, event.body)


def says_the_same(event: NewEvent, original: NewEvent | StoredEvent) -> bool:
    """Whether two published events have the same type and, as JSON values, the same data."""
    if event.type != original.type:
        return False
    return event.body == original.body or is_same_value(_value(event.body), _value(original.body))


def is_same_value(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same. Numbers are by their value; for Python ``true`` would be one, too."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same_value(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same_value, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _value(body: bytes) -> Any:
    return read_json(body, max_depth=None)
