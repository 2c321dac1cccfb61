"""One attempt of one node: called within its time, whatever it does, and what came of it as a value."""

from __future__ import annotations

import asyncio
import copy
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from kanca.domain.decisions import Retry
from kanca.errors import EgressRefused, ExpressionFailed, InvalidInput, KancaError
from kanca.workflows.step import Came, Left, StepContext, StepFailed, Suspension
from kanca.workflows.validation import PreparedNode
from kanca.workflows.values import NotJson, read_json, write_json

STUCK_AFTER = timedelta(minutes=5)
"""How long after its time a sync function may still keep its step from being given up."""
MAX_MESSAGE_LENGTH = 2_000
MAX_TRACEBACK_LENGTH = 6_000
MAX_FRAMES = 12


class Threads(Protocol):
    """Runs sync functions beside the event loop."""

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Call ``function`` in a thread. Cancelling the future does not stop it."""
        ...

    def abandon(self, future: asyncio.Future[Any]) -> None:
        """Stop caring for a call that was started."""
        ...


@dataclass(slots=True)
class Succeeded:
    """The node was left."""

    port: str
    output: Any
    stored: bytes | None
    """The output as JSON; None for a node that passes its input."""
    left: Left | None = None
    """All that the node said; None when it was not asked."""


@dataclass(frozen=True, slots=True)
class Suspended:
    """The node waits."""

    for_what: Suspension


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed."""

    code: str
    cause: bytes
    """``{"code", "message", "node", …}`` as JSON."""
    is_final: bool = False
    """Another attempt would fail the same way."""
    retry_after: timedelta | None = None


CallResult = Succeeded | Failed | Suspended


async def call(node: PreparedNode, step: StepContext, threads: Threads) -> CallResult:
    """Run the node once, and say what came of it. Raises CancelledError when the caller is cancelled, and nothing else.

    A sync function that takes too long cannot be stopped: the attempt ends when it has returned, so that no second one
    runs beside it, or after STUCK_AFTER for good.
    """
    try:
        if node.type.is_of_an_app:
            shared = {id(each): each for each in (step.http, step.credentials)}
            step = copy.deepcopy(step, shared)
        if not node.type.is_async:
            returned = await _in_thread(
                lambda: node.type.run(step, node.settings.config), step.timeout, threads
            )
        elif node.type.has_effects or node.type.is_of_an_app:
            returned = await _within(node.type.run(step, node.settings.config), step.timeout)
        else:
            returned = await node.type.run(
                step, node.settings.config
            )  # it only computes: it waits for nothing
        return _ended(node, returned)
    except GeneratorExit:
        raise  # the event loop is gone
    except BaseException as error:  # SystemExit ends the node, not the worker
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        return failure_of(node.id, error)


def resume(node: PreparedNode, step: StepContext, came: Came) -> Succeeded | Failed:
    """What a node is left with that has waited, now that this has come. Raises nothing."""
    assert node.type.resume is not None  # noqa: S101 - only types with one suspend (see ``_ended``)
    try:
        return _left(node, node.type.resume(step, node.settings.config, came))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the node's
        return failure_of(node.id, error)


def failure_of(node_id: str, error: BaseException) -> Failed:
    """The failure that an exception in a node is."""
    match error:
        case StepFailed():
            told = cause(node_id, error.code, error.message)
            return Failed(error.code, told, error.is_final, error.retry_after)
        case Retry():
            told = cause(node_id, "retry_requested", _text_of(error))
            return Failed("retry_requested", told, retry_after=error.after)
        case ExpressionFailed():
            # The same expression over the same values fails the same way.
            return Failed(error.code, cause(node_id, error.code, error.detail), is_final=True)
        case NotJson():
            message = f"the output cannot be stored: {error}"
            return Failed("output_not_json", cause(node_id, "output_not_json", message), is_final=True)
        case KancaError():
            is_final = isinstance(error, EgressRefused | InvalidInput)
            return Failed(error.code, cause(node_id, error.code, error.detail), is_final)
        case _:
            lines = traceback.format_exception(error, limit=-MAX_FRAMES)
            shown = {"type": type(error).__qualname__, "traceback": "".join(lines)[-MAX_TRACEBACK_LENGTH:]}
            return Failed("node_error", cause(node_id, "node_error", _text_of(error), **shown))


async def _within(running: Awaitable[Any], timeout: timedelta) -> Any:
    limit = asyncio.timeout(timeout.total_seconds())
    try:
        async with limit:
            return await running
    except TimeoutError:
        if limit.expired():
            raise _late(timeout) from None
        raise


async def _in_thread(function: Callable[[], Any], timeout: timedelta, threads: Threads) -> Any:
    future = threads.run(function)
    try:
        done, _ = await asyncio.wait({future}, timeout=timeout.total_seconds())
        if done:
            return future.result()
        done, _ = await asyncio.wait({future}, timeout=STUCK_AFTER.total_seconds())
    except asyncio.CancelledError:
        threads.abandon(future)
        raise
    if done:
        raise _late(timeout) from future.exception()
    threads.abandon(future)
    raise StepFailed(
        "node_stuck",
        f"the node has not returned long after its {timeout.total_seconds():g} s were over; it may still be at it",
        is_final=True,
    )


def _late(timeout: timedelta) -> StepFailed:
    return StepFailed("node_timeout", f"the node took longer than {timeout.total_seconds():g} s")


def _ended(node: PreparedNode, returned: object) -> Succeeded | Suspended:
    if node.type.resume is not None and isinstance(returned, Suspension):
        return Suspended(returned)
    return _left(node, returned)


def _left(node: PreparedNode, returned: object) -> Succeeded:
    left = returned if isinstance(returned, Left) else Left(node.ports[0], returned)
    if left.port not in node.ports:
        message = f"the node has no port {left.port!r}; it has: {', '.join(node.ports)}"
        raise StepFailed("unknown_port", message, is_final=True)
    if node.passes_input:
        return Succeeded(left.port, left.output, None, left)
    # What the next node gets is what a restart would give it: the value as JSON says it.
    stored = write_json(left.output)
    return Succeeded(left.port, read_json(stored), stored, left)


def cause(node_id: str | None, code: str, message: str, **facts: str) -> bytes:
    """The cause of a failure, as JSON: ``{"code", "message", "node", …}``."""
    return write_json({"code": code, "message": message[:MAX_MESSAGE_LENGTH], "node": node_id, **facts})


def _text_of(error: BaseException) -> str:
    try:
        return str(error) or type(error).__qualname__
    except Exception:  # noqa: BLE001 - somebody's __str__ is broken; that must not hide what happened
        return type(error).__qualname__
