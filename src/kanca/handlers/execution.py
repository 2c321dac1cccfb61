"""One attempt of one handler: called within its time, whatever it does, and what came of it as a value."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
from pydantic_core import to_jsonable_python

from kanca.domain.decisions import Discard, Retry
from kanca.domain.trace import Trace, trace_of_id
from kanca.handlers.causes import cause, cause_of
from kanca.handlers.current import Handled, handling
from kanca.handlers.event import Event
from kanca.handlers.payloads import PayloadInvalid
from kanca.handlers.registry import Handler
from kanca.handlers.threads import SyncThreads

MAX_RESULT_BYTES = 1 << 20
MAX_ASKED_DELAY = timedelta(days=30)


class Succeeded(msgspec.Struct, frozen=True):
    """It returned."""

    result: bytes | None
    """What it returned, as JSON; None for None, and for what cannot be stored."""
    note: str | None = None
    """``result_not_json`` or ``result_too_large``: the work is done and is not done again, but its result is lost."""


class Discarded(msgspec.Struct, frozen=True):
    """It said that there is nothing to do."""

    reason: str


class Failed(msgspec.Struct, frozen=True):
    """The attempt failed."""

    code: str
    cause: bytes
    asked_delay: timedelta | None = None
    is_final: bool = False
    """Another attempt cannot help."""


CallOutcome = Succeeded | Discarded | Failed


def _ignore(_: Failed) -> None: ...


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is published by a handler has from its call."""

    hops: Callable[[], int]
    """How often the event went through Kanca."""
    trace: Callable[[], Trace]
    """Where in a trace the call is."""


_NONE = Circumstances(lambda: 0, lambda: trace_of_id(uuid4()))


async def execute(
    handler: Handler,
    event: Event[Any],
    *,
    timeout: timedelta,
    threads: SyncThreads,
    stuck_after: timedelta = timedelta(minutes=5),
    on_stuck: Callable[[Failed], None] = _ignore,
    around: Circumstances = _NONE,
) -> CallOutcome:
    """Call the handler, and give what came of it once it has returned.

    A handler that takes longer than ``timeout`` has failed: an async one is cancelled. A sync one cannot be stopped, so
    this waits until its thread has returned, and nobody starts a second attempt beside it. When even that takes longer
    than ``stuck_after``, ``on_stuck`` is told once; the wait goes on. What the handler publishes has the event's
    correlation id, and what ``around`` gives. Raises CancelledError when the caller is cancelled, and nothing else.
    """
    limit = _Limit(timeout, stuck_after, lambda: on_stuck(_stuck(timeout)), cancels=handler.is_async)
    try:
        with handling(Handled(event.correlation_id, around.hops, around.trace)):
            if handler.is_async:
                result = await handler.function(event)
            else:
                result = await _in_thread(handler, event, threads, limit)
    except GeneratorExit:
        raise  # the event loop is gone
    except BaseException as error:  # SystemExit ends the handler, not the worker
        is_cancelled = limit.end()
        if limit.expired:
            return Failed("handler_timeout", cause_of(error, "handler_timeout", _took_longer(timeout)))
        if is_cancelled and isinstance(error, asyncio.CancelledError):
            raise
        return _decision(error)
    is_cancelled = limit.end()
    if limit.expired:
        return Failed("handler_timeout", cause("handler_timeout", _took_longer(timeout)))
    return _result(result)


def invalid_payload(error: PayloadInvalid) -> Failed:
    """The outcome for data that do not fit the handler's model: final, for they will not fit next time."""
    return Failed(
        "payload_invalid", cause("payload_invalid", str(error), problems=error.problems), is_final=True
    )


class _Limit:
    """The time of one call. Made, and ended exactly once, by the asyncio task that makes the call.

    ``asyncio.timeout`` cannot be used: it cannot leave a thread alone, nor say that a cancelled handler goes on.
    """

    def __init__(
        self, timeout: timedelta, stuck_after: timedelta, on_stuck: Callable[[], None], *, cancels: bool
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is in a task; mypy does not know
        self._task = task
        self._loop = task.get_loop()
        self._stuck_after = stuck_after
        self._on_stuck = on_stuck
        self.cancels = cancels
        self.expired = False
        self._timer = self._loop.call_later(timeout.total_seconds(), self._expire)

    def _expire(self) -> None:
        self.expired = True
        self._timer = self._loop.call_later(self._stuck_after.total_seconds(), self._on_stuck)
        if self.cancels:
            self._task.cancel()

    def end(self) -> bool:
        """Stop the clock; whether somebody else cancelled the task meanwhile."""
        self._timer.cancel()
        if self.expired and self.cancels:
            return self._task.uncancel() > 0
        return self._task.cancelling() > 0


async def _in_thread(handler: Handler, event: Event[Any], threads: SyncThreads, limit: _Limit) -> Any:
    call = threads.run(lambda: handler.function(event))
    try:
        result = await asyncio.shield(call)
    except asyncio.CancelledError:
        threads.abandon(call)
        raise
    if inspect.isawaitable(result) and not limit.expired:
        limit.cancels = True  # a function that hands out a coroutine without being one
        return await result
    return result


def _decision(error: BaseException) -> CallOutcome:
    match error:
        case Discard():
            return Discarded(str(error.reason))
        case Retry():
            delay = None if error.after is None else min(error.after, MAX_ASKED_DELAY)
            return Failed("retry_requested", cause_of(error, "retry_requested"), asked_delay=delay)
        case asyncio.CancelledError():
            message = "something that the handler waited for was cancelled"
            return Failed("handler_cancelled", cause_of(error, "handler_cancelled", message))
        case _:
            return Failed("handler_error", cause_of(error, "handler_error"))


def _result(value: Any) -> Succeeded:
    if value is None:
        return Succeeded(None)
    try:
        encoded = _json(value)
    except Exception:  # noqa: BLE001 - whatever a foreign type raises, it is not JSON
        return Succeeded(None, "result_not_json")
    return Succeeded(encoded) if len(encoded) <= MAX_RESULT_BYTES else Succeeded(None, "result_too_large")


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value, enc_hook=to_jsonable_python)
    except UnicodeEncodeError:
        return json.dumps(value, default=to_jsonable_python).encode()  # lone surrogates, escaped


def _took_longer(timeout: timedelta) -> str:
    return f"the handler took longer than {timeout.total_seconds():g} s"


def _stuck(timeout: timedelta) -> Failed:
    message = (
        f"the handler has not returned long after its {timeout.total_seconds():g} s were over. It may still be at it, "
        "so it is not started again."
    )
    return Failed("handler_stuck", cause("handler_stuck", message), is_final=True)
