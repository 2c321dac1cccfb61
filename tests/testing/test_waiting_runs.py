from __future__ import annotations

import pytest

from kanca.testing import Decision, FakeHttp, NotResumed, Timeout, run_workflow
from tests.workflows.acting import graph, node, waiting

PAID = graph(
    waiting("paid", timeout=3600),
    node("late", "Transform", value="late"),
    edges="start>paid paid.timeout>late",
)


async def test_what_comes_for_a_wait_is_said_by_the_test() -> None:
    run = await run_workflow(PAID, {"total": 5}, resumes={"paid": {"by": "card"}})
    assert (run.status, run.output) == ("succeeded", {"by": "card"})
    assert run.step("late").status == "skipped"


async def test_nothing_may_come() -> None:
    run = await run_workflow(PAID, resumes={"paid": Timeout()})
    assert run.output == "late"


async def test_what_is_waited_for_and_not_given_is_named() -> None:
    with pytest.raises(NotResumed, match="waits at 'paid'"):
        await run_workflow(PAID)


async def test_a_person_decides() -> None:
    url = "https://chat.example.com/hook"
    http = FakeHttp().answer("POST", url)
    ask = graph(node("ask", "Approval", title="Pay?", notify_url=url), edges="start>ask")
    run = await run_workflow(ask, resumes={"ask": Decision("reject", "too much", "ann")}, http=http)
    assert run.step("ask").port == "rejected"
    assert (run.output["comment"], run.output["by"]) == ("too much", "ann")
    assert http.requests[0].json["approve_url"] == "https://kanca.example/resume/ask/approve"


async def test_in_a_loop_something_else_comes_for_each_item() -> None:
    each = graph(
        node("each", "ForEach", items="[1, 2, 3]"),
        waiting("answer", timeout=60),
        edges="start>each each.item>answer",
    )
    run = await run_workflow(each, resumes={"answer": ["a", Timeout(), "c"]})
    assert run.output == ["a", None, "c"]
    assert run.step("answer", 2).port == "timeout"
    with pytest.raises(NotResumed, match="item 3"):
        await run_workflow(each, resumes={"answer": ["a", "b"]})


async def test_delays_pass_at_once() -> None:
    run = await run_workflow(graph(node("pause", "Delay", seconds=86_400), edges="start>pause"), 5)
    assert run.output == 5


async def test_other_workflows_are_run_as_they_are_given() -> None:
    outer = graph(node("child", "SubWorkflow", workflow_id="inner"), edges="start>child")
    inner = graph(
        node("double", "Transform", value="=event.data * 2"), waiting("go"), edges="start>double double>go"
    )
    run = await run_workflow(outer, 21, workflows={"inner": inner}, resumes={"go": "went"})
    assert run.output == "went"
    missing = await run_workflow(outer, 21)
    assert missing.error is not None
    assert missing.error["code"] == "workflow_not_published"


async def test_a_run_that_is_waited_for_may_fail() -> None:
    outer = graph(node("child", "SubWorkflow", workflow_id="inner"), edges="start>child")
    inner = graph(node("bad", "Fail", message="no"), edges="start>bad")
    run = await run_workflow(outer, workflows={"inner": inner})
    assert run.error is not None
    assert (run.status, run.error["code"]) == ("failed", "sub_workflow_failed")


async def test_nodes_prove_themselves_with_what_is_given() -> None:
    url = "https://api.example.com/"
    ask = graph(node("ask", "HttpRequest", url=url, credential="api"), edges="start>ask")
    http = FakeHttp().answer("GET", url, json={})
    await run_workflow(ask, http=http, credentials={"api": {"token": "t0ken"}})
    assert http.requests[0].headers["authorization"] == "Bearer t0ken"
    refused = await run_workflow(ask)
    assert refused.status == "failed"


async def test_what_was_published_and_answered_is_told() -> None:
    values = graph(
        node("send", "SendWebhook", event_type="order.shipped", event_id="A-1"),
        node("say", "Respond", status=201, json={"ok": True}),
        edges="start>send send>say",
    )
    run = await run_workflow(values, {"total": 5}, event_type="order.created")
    (event,) = run.published
    assert (event.event_type, event.data, event.event_id) == ("order.shipped", {"total": 5}, "A-1")
    assert run.answer is not None
    assert (run.answer.status, run.answer.json) == (201, {"ok": True})


async def test_a_node_that_lost_a_race_is_cancelled() -> None:
    values = graph(
        waiting("paid", timeout=3600),
        node("limit", "Delay", seconds=60),
        node("first", "Merge", mode="any"),
        edges="start>paid start>limit paid>first limit>first",
    )
    run = await run_workflow(values, 1, resumes={"paid": Timeout()})
    assert (run.output, run.step("paid").status) == (1, "cancelled")
    run = await run_workflow(values, 1, resumes={"paid": 2})
    assert (run.output, run.step("limit").status) == (2, "cancelled")
