from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kanca.bodies import hops_in
from kanca.domain.status import RunStatus, StepStatus
from kanca.domain.task import Dead, Retry, TaskKind
from kanca.storage.workflows import Workflow
from kanca.workflows.runs import detail_of
from tests.workflows.acting import Play, graph, node, waiting
from tests.workflows.memory import NOW, Store

ONCE = {"max_retries": 1}


def one(*nodes: dict[str, Any], edges: str, **settings: Any) -> Play:
    return Play(graph(*nodes, edges=edges, **settings))


def retried(play: Play) -> None:
    """A person retries the dead letter."""
    (letter,) = play.store.dead_letters
    play.store.task = play.world.dispatched(play.event).task
    play.store.task.kind, play.store.task.ref = letter.kind, letter.ref
    play.store.task.target, play.store.task.detail = letter.target, letter.detail
    play.store.is_over = False


@pytest.mark.parametrize("kind", ["Effect", "Transform"])
async def test_a_node_that_has_failed_is_left_by_its_error_port(kind: str) -> None:
    config: dict[str, Any] = (
        {"refuses": {"total": 150}, "retry": ONCE} if kind == "Effect" else {"value": "=input.none"}
    )
    play = one(
        node("work", kind, **config),
        node("well", "Transform", value="well"),
        node("told", "Transform", value="=[input.error.node, input.input.total]"),
        edges="start>work work>well work.error>told",
    )
    await play.finish()
    assert (play.status, play.output) == ("succeeded", ["work", 150])
    assert play.statuses() == {
        "start": "succeeded",
        "work": "failed",
        "well": "skipped",
        "told": "succeeded",
    }


@pytest.mark.parametrize("kind", ["Effect", "Transform"])
async def test_a_node_may_fail_as_if_nothing_were_wrong(kind: str) -> None:
    config: dict[str, Any] = (
        {"refuses": {"total": 150}, "retry": ONCE} if kind == "Effect" else {"value": "=input.none"}
    )
    play = one(
        node("work", kind, continue_on_error=True, **config),
        node("then", "Transform", value="=input.error.code"),
        edges="start>work work>then",
    )
    await play.finish()
    assert (play.status, play.statuses()["work"]) == ("succeeded", "failed")
    assert play.output in ("node_error", "expression_failed")


async def test_the_error_port_comes_before_going_on_all_the_same() -> None:
    play = one(
        node("work", "Effect", refuses={"total": 150}, retry=ONCE, continue_on_error=True),
        node("then", "Transform", value="then"),
        node("told", "Transform", value="told"),
        edges="start>work work>then work.error>told",
    )
    await play.finish()
    assert play.output == "told"


async def test_what_failed_with_a_large_input_goes_on_with_all_of_it_after_a_crash() -> None:
    values = graph(
        node("big", "Transform", value="=event.data.text"),
        node("work", "Effect", retry=ONCE, continue_on_error=True),
        node("pause", "Delay", seconds=60),
        node("then", "Transform", value="=size(input.input)"),
        edges="start>big big>work work>pause pause>then",
    )
    play = Play(values, b'{"text":"' + b"x" * 100_000 + b'"}')
    play.actors.failures["work"] = [ValueError("no")]
    await play.finish()
    assert play.output == 100_000


async def test_each_node_has_its_own_retries() -> None:
    play = one(
        node("work", "Effect", retry={"max_retries": 3, "initial_delay": 5, "backoff_factor": 2}),
        edges="start>work",
    )
    play.actors.failures["work"] = [ValueError(), ValueError(), ValueError()]
    first = await play.go_on()
    assert isinstance(first.disposition, Retry)
    assert timedelta(seconds=4) < first.disposition.delay < timedelta(seconds=8)
    await play.finish()
    assert (play.status, len(play.store.attempts)) == ("failed", 3)


async def test_each_node_has_its_own_time() -> None:
    play = one(node("work", "Effect", gated=True, timeout=0.01, retry=ONCE), edges="start>work")
    await play.finish()
    assert play.error["code"] == "node_timeout"
    assert play.actors.cancelled == [("work", 0)]


async def test_a_run_has_so_much_time_and_a_retry_as_much_again() -> None:
    play = one(waiting("paid", timeout=1_000), edges="start>paid", timeout=60)
    await play.finish()
    assert (play.status, play.error["code"]) == ("failed", "run_timeout")
    assert play.waits() == {"paid": "cancelled"}
    retried(play)
    await play.go_on()
    assert play.waits() == {"paid": "open"}
    deadline = detail_of(play.store.task).deadline
    assert deadline is not None
    assert deadline > play.world.clock.at
    play.come("paid", "1")
    await play.finish()
    assert (play.status, play.output) == ("succeeded", 1)


async def test_a_node_at_work_is_stopped_when_the_time_of_the_run_is_over() -> None:
    play = one(node("work", "Effect", gated=True), edges="start>work", timeout=60)
    going = play.begin()
    await play.begun("work")
    play.world.clock.at += timedelta(seconds=61)
    play.world.notice()
    await going
    assert (play.error["code"], play.actors.cancelled) == ("run_timeout", [("work", 0)])


async def test_what_another_branch_is_at_when_one_fails_is_kept() -> None:
    play = one(
        node("bad", "Effect", refuses={"total": 150}, retry=ONCE),
        node("slow", "Effect", gated=True, gives="slow"),
        node("after", "Effect"),
        edges="start>bad start>slow slow>after",
    )
    going = play.begin()
    await play.until(lambda: "bad" in play.statuses())
    play.open("slow")
    await going
    assert play.status == "failed"
    assert play.statuses() == {"start": "succeeded", "bad": "dead", "slow": "succeeded"}


async def test_a_run_that_has_failed_stays_so_when_its_worker_dies_before_it_is_over() -> None:
    values = graph(
        node("bad", "Effect", refuses={"total": 150}, retry=ONCE),
        node("slow", "Effect", gated=True),
        edges="start>bad start>slow",
    )
    play = Play(values)
    going = play.begin()
    await play.until(lambda: "bad" in play.statuses())
    after = Play(values)
    after.event, after.store = play.event, play.store.copy()
    going.cancel()
    completion = await after.finish()
    assert isinstance(completion.disposition, Dead)
    assert (after.actors.calls, after.error["node"]) == ([], "bad")


async def test_a_failed_run_waits_no_more_and_what_has_come_is_there_for_its_retry() -> None:
    play = one(
        waiting("paid"),
        waiting("shipped"),
        node("bad", "Effect", retry=ONCE, gated=True),
        edges="start>paid start>shipped start>bad",
    )
    play.actors.failures["bad"] = [ValueError("no")]
    going = play.begin()
    await play.until(lambda: len(play.waits()) == 2)
    play.world.desk.claim("paid", play.world.event(b'"in time"'))
    play.open("bad")
    await going
    assert (play.status, play.waits()) == ("failed", {"paid": "claimed", "shipped": "cancelled"})
    retried(play)
    await play.go_on()
    assert play.waits() == {"paid": "claimed", "shipped": "open"}
    play.come("shipped", '"then"')
    await play.finish()
    assert play.output["paid"] == "in time"


async def test_stop_ends_the_run_at_once_and_what_is_at_work_is_cancelled() -> None:
    play = one(
        node("slow", "Effect", gated=True),
        waiting("paid"),
        node("quick", "Effect"),
        node("done", "Stop", output={"total": "=input.total"}),
        node("never", "Effect"),
        edges="start>slow start>paid start>quick quick>done done>never",
    )
    await play.finish()
    assert (play.status, play.output) == ("succeeded", {"total": 150})
    assert play.actors.cancelled == [("slow", 0)]
    assert set(play.waits().values()) <= {"cancelled"}
    assert play.statuses() == {
        "start": "succeeded",
        "quick": "succeeded",
        "done": "succeeded",
        "slow": "cancelled",
        "paid": "cancelled",
        "never": "cancelled",
    }


async def test_nothing_is_waited_for_where_the_run_is_stopped_at_the_same_moment() -> None:
    play = one(waiting("paid"), node("done", "Stop"), edges="start>paid start>done")
    await play.finish()
    assert (play.status, play.waits()) == ("succeeded", {})


async def test_fail_says_why_and_a_retry_comes_to_the_same() -> None:
    play = one(
        node("bad", "Fail", code="too_much", message="='no more than ' + string(input.total)"),
        edges="start>bad",
    )
    for _ in range(2):
        await play.finish()
        assert play.error == {"code": "too_much", "message": "no more than 150", "node": "bad"}
        retried(play)
        play.store.dead_letters.clear()


async def test_fail_can_be_caught() -> None:
    play = one(
        node("bad", "Fail", message="no"),
        node("told", "Transform", value="=input.error.message"),
        edges="start>bad bad.error>told",
    )
    await play.finish()
    assert play.output == "no"


# SubWorkflow ------------------------------------------------------------------------------------


def sub(**config: Any) -> Play:
    play = one(node("child", "SubWorkflow", workflow_id="other", **config), edges="start>child")
    play.world.desk.workflows["other"] = published(2)
    return play


def published(version: int | None) -> Workflow:
    return Workflow("other", 9, "default", "other", 2, version, NOW, NOW)


def child_of(play: Play) -> Any:
    (opening,) = play.world.desk.openings.values()
    assert opening.child is not None
    return opening.child


def end_child(play: Play, status: RunStatus, **changes: Any) -> None:
    child, _ = child_of(play)
    play.world.desk.runs[child.id] = replace(child, status=status, **changes)
    play.come("child")


async def test_a_run_of_another_workflow_gets_the_input_and_gives_its_output() -> None:
    play = sub()
    await play.go_on()
    child, task = child_of(play)
    assert play.store.run is not None
    assert (child.workflow_id, child.version, child.input) == ("other", 2, b'{"total":150}')
    assert (child.parent_run_id, task.kind, task.target) == (play.store.run.id, TaskKind.RUN, 9)
    end_child(play, RunStatus.SUCCEEDED, output=b'{"done":true}')
    await play.finish()
    assert play.output == {"done": True}


async def test_what_a_run_below_publishes_went_as_often_through_kanca_as_what_started_the_one_above() -> None:
    play = sub()
    play.event.request = b'{"hops": 4}'
    completion = await play.go_on()
    child, task = child_of(play)
    below = Play(graph(node("send", "SendWebhook", event_type="x"), edges="start>send"))
    below.store = Store(completion.task, child)
    below.store.task.kind, below.store.task.ref, below.store.task.detail = task.kind, child.id, task.detail
    await below.world.go_on(below.store, below.version, None)
    (event,) = (event for done in below.store.history for event in done.records.events)
    assert hops_in(event.request) == 4


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        (RunStatus.FAILED, b'{"code":"c","message":"because"}', "sub_workflow_failed"),
        (RunStatus.CANCELLED, None, "sub_workflow_cancelled"),
    ],
)
async def test_a_run_that_did_not_succeed_fails_its_node(
    status: RunStatus, error: bytes | None, code: str
) -> None:
    play = sub()
    await play.go_on()
    end_child(play, status, error=error)
    await play.finish()
    assert play.error["code"] == code
    assert ("because" in play.error["message"]) == (error is not None)
    retried(play)
    await play.go_on()
    assert play.waits() == {"child": "open"}  # a retry has another run


async def test_a_run_that_takes_too_long_fails_its_node() -> None:
    play = sub(max_wait=60)
    await play.finish()
    assert play.error["code"] == "sub_workflow_timeout"


async def test_a_workflow_that_is_not_published_fails_the_node_until_it_is() -> None:
    play = sub()
    play.world.desk.workflows["other"] = published(None)
    await play.finish()
    assert play.error["code"] == "workflow_not_published"
    assert play.store.step("child").status is StepStatus.DEAD
    play.world.desk.workflows["other"] = published(1)
    retried(play)
    await play.go_on()
    end_child(play, RunStatus.SUCCEEDED, output=b"1")
    await play.finish()
    assert play.output == 1


async def test_runs_that_start_runs_of_themselves_come_to_an_end() -> None:
    values = graph(node("child", "SubWorkflow", workflow_id="w"), edges="start>child")
    depth, play = 0, Play(values)
    while True:
        play.world.desk.workflows["w"] = published(3)
        completion = await play.world.go_on(play.store, play.version, play.event if not depth else None)
        if play.store.is_over:
            break
        child, task = child_of(play)
        depth, play = depth + 1, Play(values)
        play.store = Store(completion.task, child)
        play.store.task.kind, play.store.task.ref, play.store.task.detail = task.kind, child.id, task.detail
    assert depth == 16
    assert play.error["code"] == "too_deep"
