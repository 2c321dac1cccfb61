"""What a delivery says: its body, the same bytes in every attempt, and its headers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from kanca.bodies import HOPS_HEADER, Kind, Unreadable, event_body, hops_in, read_json
from kanca.domain.event import StoredEvent, is_envelope
from kanca.domain.ids import EVENT, show_id
from kanca.domain.published import PUBLISHED
from kanca.domain.subscription import OPERATIONAL_ENDPOINT, Subscription, SubscriptionConfig
from kanca.domain.trace import Trace
from kanca.errors import ExpressionFailed, InvalidExpression, TransformFailed
from kanca.expressions.event_scope import stored_event_scope
from kanca.expressions.uses import compile_fifo_key, compile_transform
from kanca.outbound.members import member_of
from kanca.outbound.signing import signature_headers

EVENT_HEADER = "X-Webhook-Event"
CORRELATION_HEADER = "X-Correlation-ID"

_OF_OUR_OWN = (PUBLISHED, OPERATIONAL_ENDPOINT)


def envelope(event: StoredEvent) -> bytes:
    """``{"event_type","event_id","timestamp","data"}`` as compact JSON.

    ``event_id`` is the sender's own id of the event, or else ``evt_…``; ``timestamp`` is when it was received.
    ``data`` is written as it came, to the byte, where it came as JSON: numbers, order and all. So the bytes follow from
    the event alone, and are those of every attempt and every subscription. Raises nothing.
    """
    about = {
        "event_type": event.type,
        "event_id": event.source_event_id or show_id(EVENT, event.id),
        "timestamp": event.received_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    return _json(about)[:-1] + b',"data":' + _data(event) + b"}"


def transformed(event: StoredEvent, expression: str) -> bytes:
    """The body that a subscription's ``transform`` makes of the event: the value of the expression, as JSON.

    Raises TransformFailed, with the fact ``reason`` that ExpressionFailed gives (``invalid`` for an expression that
    another version took).
    """
    try:
        return _json(compile_transform(expression).evaluate({"event": stored_event_scope(event)}))
    except ExpressionFailed as error:
        raise TransformFailed(f"The transform: {error.detail}", **error.facts) from None
    except InvalidExpression as error:
        raise TransformFailed(f"The transform: {error.detail}", reason="invalid") from None


def body_of(subscription: Subscription, event: StoredEvent) -> bytes:
    """What the subscription is sent of the event. Raises TransformFailed."""
    transform = subscription.config.transform
    return envelope(event) if transform is None else transformed(event, transform)


def fifo_key(event: StoredEvent, expression: str | None) -> str:
    """Which deliveries of a subscription come one after the other: those with the same text. None is one for all.

    A text is the key as it is; anything else as JSON writes it. Raises ExpressionFailed, InvalidExpression.
    """
    if expression is None:
        return ""
    value = compile_fifo_key(expression).evaluate({"event": stored_event_scope(event)})
    return value if isinstance(value, str) else _json(value).decode()


def hops_of(event: StoredEvent) -> int:
    """How often the event went through Kanca before it came. Its deliveries say one more."""
    return hops_in(event.request)


def is_too_far(event: StoredEvent, limit: int) -> bool:
    """Whether the event went round so often that it is not sent any more."""
    return hops_of(event) >= limit


def headers_for(
    config: SubscriptionConfig,
    event: StoredEvent,
    body: bytes,
    moment: datetime,
    secrets: Sequence[str],
    trace: Trace | None = None,
) -> dict[str, str]:
    """The headers of one attempt, made at ``moment``; ``secrets`` are those that are live, the newest first.

    ``trace``: where the attempt stands.

    Those that a delivery has itself cannot be replaced by the subscription's own. ``User-Agent`` is the HTTP client's.
    Raises InvalidSecret.
    """
    ours = {
        "Content-Type": "application/json",
        EVENT_HEADER: _one_line(event.type),
        HOPS_HEADER: str(hops_of(event) + 1),
        **_correlation(event),
        **({} if trace is None else trace.headers),
    } | signature_headers(
        config.signature,
        secrets,
        show_id(EVENT, event.id),
        int(moment.timestamp()),
        body,
        config.signature_header,
    )
    if not config.headers:
        return ours
    taken = {"user-agent", *(name.lower() for name in ours)}
    return {name: value for name, value in config.headers.items() if name.lower() not in taken} | ours


def _correlation(event: StoredEvent) -> dict[str, str]:
    """The header by which a Kanca that receives the delivery knows the same; not every id can be said in one."""
    is_sayable = event.correlation_id.isascii() and event.correlation_id.isprintable()
    return {CORRELATION_HEADER: event.correlation_id} if is_sayable else {}


def _data(event: StoredEvent) -> bytes:
    """The event's data as JSON."""
    if event.endpoint in _OF_OUR_OWN and (found := member_of(event.body, "data")) is not None:
        return found
    try:
        read = event_body(event)
    except Unreadable:
        return _json(event.body.decode(errors="replace"))
    if read.kind is Kind.JSON and _is_utf8_json(event.body):
        if not is_envelope(read.document):
            return event.body.strip()
        return member_of(event.body, "data") or b"{}"
    return _json(read.data)


def _is_utf8_json(body: bytes) -> bool:
    """Whether the body is JSON as others read it: without a byte order mark, and in no other charset."""
    try:
        read_json(body, max_depth=None)
        return not body.decode().startswith("\ufeff")
    except (Unreadable, UnicodeDecodeError):
        return False


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a lone surrogate is no UTF-8, but JSON can say it as an escape
        return json.dumps(value, separators=(",", ":")).encode()


def _one_line(text: str) -> str:
    """The text as a header can have it."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)
