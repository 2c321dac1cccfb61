"""``/events/trigger``: publishing events.

The bodies are read here, not by FastAPI: a payload stays byte for byte what the publisher wrote.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from fastapi import Depends, Header, Query, Request
from pydantic import BaseModel, ConfigDict

from kanca.api.callers import DEFAULT_TENANT, Caller, CallerTenant
from kanca.api.openapi import refused_with
from kanca.api.problems import problem_of
from kanca.api.publishing_models import (
    BATCH_BODY,
    MOST_AT_ONCE,
    TRIGGER_BODY,
    BatchItem,
    BatchRequest,
    Triggered,
    TriggeredBatch,
    TriggerRequest,
)
from kanca.api.routing import resource
from kanca.api.services import Given, Services
from kanca.bodies import HOPS_HEADER
from kanca.domain.event import NewEvent
from kanca.domain.ids import EVENT, show_id
from kanca.domain.trace import Trace, read_trace
from kanca.errors import (
    BacklogFull,
    CommitQueueFull,
    CommitTimeout,
    DatabaseUnavailable,
    DiskFull,
    EventIdTaken,
    InvalidEvent,
    InvalidRequest,
    KancaError,
    PayloadTooLarge,
    TooManyRequests,
    Unavailable,
)
from kanca.outbound.publisher import Published, Publisher
from kanca.outbound.publishing import MAX_PAYLOAD_BYTES, WINDOW, published_event
from kanca.telemetry.tracing import request_span

router = resource("Publishing", "/events")

MAX_BATCH_BYTES = 8 * MAX_PAYLOAD_BYTES
_AROUND_BYTES = 16 * 1024
"""What may stand around a payload."""
BY_API = "api"
_NOT_NOW = DatabaseUnavailable, BacklogFull, DiskFull, CommitTimeout, CommitQueueFull

_ABOUT = {"messaging.operation.type": "send"}

R = TypeVar("R", bound=msgspec.Struct)


def publisher_of(request: Request) -> Publisher:
    """The publisher of the app that a request came to."""
    publisher: Publisher = request.app.state.publisher
    return publisher


Publishing = Annotated[Publisher, Depends(publisher_of)]
Hops = Annotated[
    str | None,
    Header(
        alias=HOPS_HEADER,
        description="As it came with the delivery that you publish because of: so circles are seen.",
    ),
]


class Named(BaseModel):
    """What names the event when the whole body is its payload."""

    model_config = ConfigDict(extra="forbid")

    event_type: str | None = None
    event_id: str | None = None
    tenant: str | None = None
    correlation_id: str | None = None


@router.post(
    "/trigger",
    summary="Publish an event",
    operation_id="trigger_event",
    status_code=202,
    openapi_extra=TRIGGER_BODY,
    responses=refused_with(InvalidEvent, EventIdTaken, *_NOT_NOW),
)
async def trigger(
    services: Given,
    caller: CallerTenant,
    publisher: Publishing,
    request: Request,
    named: Annotated[Named, Query()],
    hops: Hops = None,
) -> Triggered:
    """Publish an event to all who subscribe to its type. After the answer it is stored, and on its way.

    With `?event_type=` the whole body is the payload, and the other members are parameters, too.
    """
    body = await _body(request, MAX_PAYLOAD_BYTES + _AROUND_BYTES)
    with request_span(_trace(request), "publish", _ABOUT) as span:
        caused = _Caused(_hops(hops), span.trace if span else _trace(request))
        event = _event(services, caller, _asked(body, named), caused)
        return Triggered(**_shown(event, await publisher.publish(event)))


@router.post(
    "/trigger/batch",
    summary="Publish many events",
    operation_id="trigger_events",
    status_code=202,
    openapi_extra=BATCH_BODY,
    responses=refused_with(*_NOT_NOW),
)
async def trigger_batch(
    services: Given, caller: CallerTenant, publisher: Publishing, request: Request, hops: Hops = None
) -> TriggeredBatch:
    """Publish up to 1,000 events, 8 MB in all. Each is published or refused for itself; `results` has their order.

    A refusal of all of them is answered only where nothing can be stored now. Give each event an `event_id`, and
    sending the batch again is safe.
    """
    batch = _read(await _body(request, MAX_BATCH_BYTES), BatchRequest).events
    if not 1 <= len(batch) <= MOST_AT_ONCE:
        raise InvalidRequest(f"A batch has 1 to {MOST_AT_ONCE} events")
    with request_span(_trace(request), "publish", _ABOUT) as span:
        caused = _Caused(_hops(hops), span.trace if span else _trace(request))
        events = [_event_or_error(services, caller, text, caused) for text in batch]
        made = iter(await publisher.publish_all([event for event in events if isinstance(event, NewEvent)]))
    answers = [next(made) if isinstance(event, NewEvent) else event for event in events]
    _raise_if_none_could_be_stored(answers)
    return TriggeredBatch(
        triggered=sum(isinstance(answer, Published) and answer.is_new for answer in answers),
        repeated=sum(isinstance(answer, Published) and not answer.is_new for answer in answers),
        refused=sum(isinstance(answer, KancaError) for answer in answers),
        results=[_item(event, answer) for event, answer in zip(events, answers, strict=True)],
    )


class _Asked(NamedTuple):
    event_type: str
    payload: bytes
    event_id: str | None
    tenant: str | None
    correlation_id: str | None


def _asked(body: bytes, named: Named) -> _Asked:
    if named.event_type is not None:
        return _Asked(named.event_type, body, named.event_id, named.tenant or None, named.correlation_id)
    if named.model_fields_set:
        raise InvalidRequest(
            "Without `?event_type=` the body says everything, and there are no other parameters"
        )
    return _asked_in(body)


def _asked_in(text: bytes) -> _Asked:
    read = _read(text, TriggerRequest)
    return _Asked(read.event_type, bytes(read.payload), read.event_id, read.tenant, read.correlation_id)


class _Caused(NamedTuple):
    """What an event has from the request that publishes it."""

    hops: int
    trace: Trace | None


def _event(services: Services, caller: Caller, asked: _Asked, caused: _Caused) -> NewEvent:
    tenant = caller.tenant_of(asked.tenant)
    about = {
        **asked._asdict(),
        **caused._asdict(),
        "tenant": DEFAULT_TENANT if tenant is None else tenant,
    }
    # A repetition of what is gone would be told of an event that nobody finds.
    window = min(WINDOW, timedelta(days=services.retention_days))
    return published_event(services.ids.new(), services.now(), by=BY_API, window=window, **about)


def _event_or_error(
    services: Services, caller: Caller, text: msgspec.Raw, caused: _Caused
) -> NewEvent | KancaError:
    try:
        return _event(services, caller, _asked_in(bytes(text)), caused)
    except KancaError as error:
        return error


def _shown(event: NewEvent, published: Published) -> dict[str, Any]:
    return {
        "status": "event_triggered" if published.is_new else "already_triggered",
        "event_type": event.type,
        "event_id": event.source_event_id or show_id(EVENT, published.id),
        "id": show_id(EVENT, published.id),
        "subscriber_count": published.subscriber_count,
    }


def _item(event: NewEvent | KancaError, answer: Published | KancaError) -> BatchItem:
    if isinstance(event, KancaError):
        return BatchItem(status="refused", problem=problem_of(event))
    if isinstance(answer, KancaError):
        problem = problem_of(answer)
        return BatchItem(
            status="refused", event_type=event.type, event_id=event.source_event_id, problem=problem
        )
    return BatchItem(**_shown(event, answer))


def _raise_if_none_could_be_stored(answers: list[Published | KancaError]) -> None:
    first = answers[0]
    if isinstance(first, KancaError) and all(
        isinstance(answer, Unavailable | TooManyRequests) for answer in answers
    ):
        raise first


def _read(text: bytes, form: type[R]) -> R:
    try:
        return msgspec.json.decode(text, type=form)
    except (ValueError, RecursionError) as error:  # all that msgspec raises, and UnicodeDecodeError
        raise InvalidRequest(f"The body does not have the form of this route: {error}") from None


async def _body(request: Request, limit_bytes: int) -> bytes:
    """The body, counted as it comes. Raises PayloadTooLarge."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit_bytes:
            raise PayloadTooLarge(f"The body is larger than {limit_bytes // 1024} KB")
        pieces.append(piece)
    return b"".join(pieces)


def _trace(request: Request) -> Trace | None:
    """The publisher's."""
    parents, states = (request.headers.getlist(name) for name in ("traceparent", "tracestate"))
    return read_trace(",".join(parents), ",".join(states))


def _hops(header: str | None) -> int:
    """What the header says; what cannot be one says nothing."""
    text = (header or "").strip()[:6]
    return int(text) if text.isascii() and text.isdigit() else 0
