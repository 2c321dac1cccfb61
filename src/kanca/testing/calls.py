"""Calls of handlers, an attempt at a time.

    from kanca.testing import call, send
    from shop.hooks import hooks, order_created

    async def test_an_order_is_confirmed():
        result = await call(hooks, order_created, "order.created", {"order_id": "ORD-00000001"})
        assert result.status == "succeeded"

    async def test_nobody_else_listens():
        assert list(await send(hooks, "order.created", {…})) == ["shop.hooks.order_created"]

What runs is what a worker runs: data that do not fit the model are refused, timeouts count, ``Retry`` and ``Discard``
decide, and the result is what would be stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, Protocol

import msgspec

from kanca.app.capturing import Capture, capturing_here
from kanca.domain.event import NewEvent
from kanca.domain.retry import GiveUp, after_failure
from kanca.handlers.execution import Discarded, Failed, Succeeded, execute, invalid_payload
from kanca.handlers.matching import Arrival, wants
from kanca.handlers.payloads import PayloadInvalid, validate
from kanca.handlers.registry import Handler, HandlerRegistry
from kanca.handlers.threads import SyncThreads
from kanca.testing.events import make_event
from kanca.testing.published import Published, as_published

Status = Literal["succeeded", "skipped", "retrying", "dead"]


class HasHandlers(Protocol):
    """What ``Kanca`` is to this module."""

    @property
    def handlers(self) -> HandlerRegistry:
        """The handlers registered with ``on``."""
        ...


@dataclass(frozen=True, slots=True)
class CallResult:
    """What one attempt of a handler came to."""

    status: Status
    result: Any = None
    """What would be stored: the returned value after a round trip through JSON."""
    reason: str | None = None
    """Why it was discarded, or the code of the failure (``handler_error``, ``payload_invalid``, …)."""
    error: Mapping[str, Any] | None = None
    """The cause of a failure: ``message``, ``type``, ``traceback``, or the ``problems`` of the data."""
    retry_after: timedelta | None = None
    """When ``retrying``: how long until the next attempt."""
    published: tuple[Published, ...] = ()
    """What it published without a connection, however it ended: that is published at once."""


async def call(
    hooks: HasHandlers | HandlerRegistry,
    handler: Callable[..., Any] | str,
    event_type: str,
    data: Any,
    **fields: Any,
) -> CallResult:
    """Run one attempt of a handler (the decorated function, or its name) with an event.

    ``fields`` go to ``make_event``; ``attempt_number=5`` tries what the last attempt does. Raises KeyError when the
    handler is not registered.
    """
    return await _attempt(_find(_registry(hooks), handler), event_type, data, fields)


async def send(
    hooks: HasHandlers | HandlerRegistry,
    event_type: str,
    data: Any,
    *,
    slug: str | None = None,
    is_authenticated: bool = True,
    is_operational: bool = False,
    **fields: Any,
) -> dict[str, CallResult]:
    """Run every handler that wants an event, and give each one's result by name.

    ``slug`` is the one of the endpoint that the event came to (``endpoint_id`` and ``provider`` are fields); a
    published event has ``endpoint_id=None``, and so has one about webhooks themselves (``is_operational``).
    """
    event = make_event(event_type, data, **fields)
    arrival = Arrival(
        event_type, event.tenant, event.provider, event.endpoint_id, slug, is_authenticated, is_operational
    )
    listening = [handler for handler in _registry(hooks) if wants(handler.spec, arrival)]
    return {handler.name: await _attempt(handler, event_type, data, fields) for handler in listening}


def _registry(hooks: HasHandlers | HandlerRegistry) -> HandlerRegistry:
    return hooks if isinstance(hooks, HandlerRegistry) else hooks.handlers


def _find(registry: HandlerRegistry, handler: Callable[..., Any] | str) -> Handler:
    for candidate in registry:
        if handler in (candidate.name, candidate.function):
            return candidate
    raise KeyError(f"{handler!r} is not registered")


async def _attempt(handler: Handler, event_type: str, data: Any, fields: Mapping[str, Any]) -> CallResult:
    attempt_number = fields.get("attempt_number", 1)
    try:
        payload = data if handler.payload is None else validate(data, handler.payload)
    except PayloadInvalid as error:
        return _result(handler, invalid_payload(error), attempt_number)
    body = fields.get("body") or msgspec.json.encode(data)
    event = make_event(event_type, payload, **{**fields, "body": body})
    threads = SyncThreads()
    timeout = handler.timeout or timedelta(seconds=30)
    published: list[NewEvent] = []
    try:
        with capturing_here(Capture(published.append, asyncio.get_running_loop())):
            outcome = await execute(handler, event, timeout=timeout, threads=threads)
    finally:
        threads.close()
    return replace(_result(handler, outcome, attempt_number), published=tuple(map(as_published, published)))


def _result(handler: Handler, outcome: Succeeded | Discarded | Failed, attempt_number: int) -> CallResult:
    match outcome:
        case Succeeded():
            value = None if outcome.result is None else msgspec.json.decode(outcome.result)
            return CallResult("succeeded", result=value, reason=outcome.note)
        case Discarded():
            return CallResult("skipped", reason=outcome.reason)
    error = msgspec.json.decode(outcome.cause)
    decision = after_failure(attempt_number, handler.policy, 0.0, outcome.asked_delay)
    if outcome.is_final or isinstance(decision, GiveUp):
        return CallResult("dead", reason=outcome.code, error=error)
    return CallResult("retrying", reason=outcome.code, error=error, retry_after=decision.delay)
