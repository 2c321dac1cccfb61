from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest

from kanca.domain.decisions import Retry
from kanca.domain.retry import RetryPolicy
from kanca.errors import EgressFailed, EgressRefused
from kanca.workflows import calling
from kanca.workflows.calling import CallResult, Failed, Succeeded, call
from kanca.workflows.node_type import NodeSettings
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.step import Left, StepContext, StepFailed
from kanca.workflows.validation import PreparedNode
from kanca.workflows.values import read_json
from tests.workflows.memory import PoolThreads

SHORT = timedelta(milliseconds=20)
LONG = timedelta(seconds=30)


def a_step(timeout: timedelta = LONG) -> StepContext:
    return StepContext(
        input={"list": [1]},
        event={},
        run={"id": "run_1"},
        outputs={},
        node_id="n",
        call_id="call_1",
        attempt_number=1,
        timeout=timeout,
        now=datetime.now(UTC),
        new_id=uuid4,
        http=cast(Any, None),
    )


def a_node(function: Callable[..., Any], *ports: str) -> PreparedNode:
    registry = NodeRegistry()
    registry.node("N", ports=ports or ("out",))(function)
    node_type = registry.get("N")
    assert node_type is not None
    return PreparedNode("n", node_type, NodeSettings({}, RetryPolicy(), None), node_type.ports)


async def called(function: Callable[..., Any], *ports: str, timeout: timedelta = LONG) -> CallResult:
    return await call(a_node(function, *ports), a_step(timeout), PoolThreads())


async def test_a_node_may_be_sync() -> None:
    def node(step: StepContext, config: Any) -> str:
        return threading.current_thread().name

    result = await called(node)
    assert isinstance(result, Succeeded)
    assert result.output != threading.current_thread().name


async def test_the_output_is_what_json_says_of_it() -> None:
    async def node(step: StepContext, config: Any) -> Any:
        return {"pair": (1, 2), 3: "three"}

    left = Left("out", {"pair": (1, 2), 3: "three"})
    stored = b'{"pair":[1,2],"3":"three"}'
    assert await called(node) == Succeeded("out", {"pair": [1, 2], "3": "three"}, stored, left)


async def test_a_node_chooses_its_port() -> None:
    async def node(step: StepContext, config: Any) -> Any:
        return step.leave("b", 7)

    assert await called(node, "a", "b") == Succeeded("b", 7, b"7", Left("b", 7))


async def test_what_a_node_changes_of_its_input_stays_its_own() -> None:
    step = a_step()

    async def node(given: StepContext, config: Any) -> None:
        given.input["list"].append(2)

    await call(a_node(node), step, PoolThreads())
    assert step.input == {"list": [1]}


def raising(error: BaseException) -> Callable[..., Any]:
    async def node(step: StepContext, config: Any) -> None:
        raise error

    return node


def raising_sync(error: BaseException) -> Callable[..., Any]:
    def node(step: StepContext, config: Any) -> None:
        raise error

    return node


@pytest.mark.parametrize("raising_as", [raising, raising_sync])
@pytest.mark.parametrize(
    ("error", "code", "is_final"),
    [
        (ValueError("no"), "node_error", False),
        (StepFailed("mine", "no"), "mine", False),
        (StepFailed("mine", "no", is_final=True), "mine", True),
        (EgressFailed("no"), "egress_failed", False),
        (EgressRefused("no"), "egress_refused", True),
        (TimeoutError("no"), "node_error", False),
        (SystemExit("no"), "node_error", False),
        (Retry(reason="no"), "retry_requested", False),
    ],
)
async def test_what_a_node_raises_is_its_failure(
    raising_as: Callable[[BaseException], Callable[..., Any]], error: BaseException, code: str, is_final: bool
) -> None:
    result = await called(raising_as(error))
    assert isinstance(result, Failed)
    assert (result.code, result.is_final) == (code, is_final)
    cause = read_json(result.cause)
    assert (cause["code"], cause["message"], cause["node"]) == (code, "no", "n")
    assert ("traceback" in cause) == (code == "node_error")


async def test_an_error_that_cannot_be_shown_is_a_failure_too() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError

    result = await called(raising(Broken()))
    assert isinstance(result, Failed)
    assert read_json(result.cause)["message"].endswith("Broken")


@pytest.mark.parametrize("output", [object(), {(1, 2): 3}])
async def test_an_output_that_json_cannot_say_fails_for_good(output: Any) -> None:
    async def node(step: StepContext, config: Any) -> Any:
        return output

    result = await called(node)
    assert isinstance(result, Failed)
    assert (result.code, result.is_final) == ("output_not_json", True)


async def test_a_port_that_is_not_there_fails_for_good() -> None:
    async def node(step: StepContext, config: Any) -> Any:
        return step.leave("c")

    result = await called(node, "a", "b")
    assert isinstance(result, Failed)
    assert (result.code, result.is_final) == ("unknown_port", True)
    assert read_json(result.cause)["message"] == "the node has no port 'c'; it has: a, b"


async def test_an_async_node_that_takes_too_long_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def node(step: StepContext, config: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    result = await called(node, timeout=SHORT)
    assert isinstance(result, Failed)
    assert (result.code, result.is_final) == ("node_timeout", False)
    assert cancelled.is_set()


async def test_a_sync_node_that_takes_too_long_is_waited_for() -> None:
    may_end = threading.Event()
    ended = threading.Event()

    def node(step: StepContext, config: Any) -> None:
        may_end.wait()
        ended.set()

    calling_it = asyncio.create_task(called(node, timeout=SHORT))
    asyncio.get_running_loop().call_later(0.1, may_end.set)
    result = await calling_it
    assert isinstance(result, Failed)
    assert result.code == "node_timeout"
    assert ended.is_set()


async def test_a_sync_node_that_never_returns_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "STUCK_AFTER", SHORT)
    may_end = threading.Event()

    def node(step: StepContext, config: Any) -> None:
        may_end.wait()

    threads = PoolThreads()
    result = await call(a_node(node), a_step(SHORT), threads)
    may_end.set()
    assert isinstance(result, Failed)
    assert (result.code, result.is_final, threads.abandoned) == ("node_stuck", True, 1)


async def test_stopping_a_call_abandons_its_thread() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def node(step: StepContext, config: Any) -> None:
        begun.set()
        may_end.wait()

    threads = PoolThreads()
    calling_it = asyncio.create_task(call(a_node(node), a_step(), threads))
    await asyncio.get_running_loop().run_in_executor(None, begun.wait)
    calling_it.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling_it
    may_end.set()
    assert threads.abandoned == 1


async def test_a_node_whose_own_work_was_cancelled_has_failed() -> None:
    async def node(step: StepContext, config: Any) -> None:
        inner = asyncio.create_task(asyncio.sleep(60))
        inner.cancel()
        await inner

    result = await called(node)
    assert isinstance(result, Failed)
    assert result.code == "node_error"
