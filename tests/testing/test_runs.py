from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kanca.domain.decisions import Retry
from kanca.errors import InvalidInput, InvalidWorkflow
from kanca.testing import FakeHttp, UnexpectedRequest, run_workflow
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.registry import NodeRegistry

URL = "https://sales.example.com/leads"


def definition(*nodes: dict[str, Any]) -> dict[str, Any]:
    """A workflow of nodes one after the other."""
    chain = [{"id": "start", "type": "WebhookTrigger"}, *nodes]
    edges = [{"from": a["id"], "to": b["id"]} for a, b in itertools.pairwise(chain)]
    return {"id": "flow", "nodes": chain, "edges": edges}


ASK = {"id": "ask", "type": "HttpRequest", "config": {"method": "POST", "url": URL}}
TOTAL = {"id": "sum", "type": "Transform", "config": {"value": {"twice": "=input.total * 2"}}}


async def test_a_run_by_hand_has_its_data_and_no_event() -> None:
    values = {
        "id": "who",
        "type": "Transform",
        "config": {"value": {"type": "=event.type", "id": "=event.id"}},
    }
    result = await run_workflow(definition(values), {"total": 2})
    assert (result.status, result.output) == ("succeeded", {"type": "run.manual", "id": None})


async def test_a_run_of_an_event_has_what_the_event_has() -> None:
    shown = {name: f"=event.{name}" for name in ("type", "data", "source_event_id", "headers")}
    result = await run_workflow(
        definition({"id": "who", "type": "Transform", "config": {"value": shown}}),
        {"total": 2},
        event_type="order.created",
        headers={"X-Shop": "1"},
        source_event_id="A-1",
    )
    assert result.output == {
        "type": "order.created",
        "data": {"total": 2},
        "source_event_id": "A-1",
        "headers": {"x-shop": "1"},
    }


async def test_steps_tell_what_went_in_and_came_out() -> None:
    branch = {"id": "big", "type": "Branch", "config": {"condition": "input.twice > 10"}}
    flow = definition(TOTAL, branch)
    flow["nodes"].append({"id": "note", "type": "Log", "config": {"message": "big"}})
    flow["edges"].append({"from": "big", "to": "note", "port": "true"})
    result = await run_workflow(flow, {"total": 2})
    step = result.step("sum")
    assert (step.status, step.port, step.input, step.output) == (
        "succeeded",
        "out",
        {"total": 2},
        {"twice": 4},
    )
    assert (result.step("big").port, result.step("note").status) == ("false", "skipped")
    assert result.path == ["start", "sum", "big"]
    with pytest.raises(KeyError, match=r"did not come to 'other', only to: start, sum, big"):
        result.step("other")


async def test_attempts_follow_each_other_at_once() -> None:
    http = FakeHttp().fail("POST", URL).answer("POST", URL, 429, headers={"Retry-After": "90"})
    http.answer("POST", URL, 503).answer("POST", URL, json={"lead": 7})
    result = await run_workflow(definition(ASK), http=http)
    assert (result.status, result.output["json"]) == ("succeeded", {"lead": 7})
    assert [(failed.error["code"], failed.retry_after) for failed in result.failed_attempts] == [
        ("egress_failed", timedelta(seconds=1)),
        ("http_status", timedelta(seconds=90)),
        ("http_status", timedelta(seconds=4)),
    ]
    assert result.step("ask").attempt_number == 4
    assert len({sent.headers["idempotency-key"] for sent in http.requests}) == 1


async def test_a_run_out_of_attempts_has_failed() -> None:
    http = FakeHttp().answer("POST", URL, 500)
    result = await run_workflow(definition(ASK, TOTAL), http=http)
    assert (result.status, result.output) == ("failed", None)
    assert result.error is not None
    assert (result.error["node"], result.error["code"]) == ("ask", "http_status")
    assert (result.step("ask").status, result.step("ask").error) == ("dead", result.error)
    assert len(http.requests) == 5
    last = result.failed_attempts[-1]
    assert (last.node_id, last.attempt_number, last.retry_after) == ("ask", 5, None)
    assert result.http is http


async def test_a_request_that_the_test_has_no_answer_to_fails_the_test() -> None:
    with pytest.raises(UnexpectedRequest, match=URL):
        await run_workflow(definition(ASK))


class App:
    """What Kanca is to the module."""

    def __init__(self) -> None:
        self.nodes = built_in_registry()


@pytest.fixture
def app() -> App:
    app = App()

    @app.nodes.node("Charge", ports=("paid", "refused"))
    def charge(step: Any, config: Any) -> Any:
        if step.attempt_number == 1:
            raise Retry(after=3600)
        return step.leave("paid", {"key": step.call_id})

    return app


async def test_own_nodes_run(app: App) -> None:
    flow = definition({"id": "pay", "type": "Charge", "config": {}})
    for hooks in (app, app.nodes):
        result = await run_workflow(flow, {}, hooks=hooks)
        assert result.output["key"].startswith("call_")
        assert [failed.retry_after for failed in result.failed_attempts] == [timedelta(hours=1)]


async def test_an_invalid_definition_says_all_that_is_wrong() -> None:
    flow = definition({"id": "pay", "type": "Charge"}, {"id": "sum", "type": "Transform", "config": {"v": 1}})
    with pytest.raises(InvalidWorkflow, match="node 'pay': there is no node type 'Charge'") as refused:
        await run_workflow(flow)
    assert {problem["node"] for problem in refused.value.facts["problems"]} == {"pay", "sum"}


async def test_a_start_that_is_not_there_is_an_error() -> None:
    with pytest.raises(InvalidInput, match="they can at: start"):
        await run_workflow(definition(), node_id="nowhere")


async def test_a_file_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(definition(TOTAL)))
    assert (await run_workflow(path, {"total": 4})).output == {"twice": 8}


async def test_a_run_that_is_cancelled_ends() -> None:
    nodes = NodeRegistry(built_in_registry())
    started = asyncio.Event()

    @nodes.node("Wait")
    async def wait(step: Any, config: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(run_workflow(definition({"id": "w", "type": "Wait"}), hooks=nodes))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_the_module_can_be_the_first_that_is_imported() -> None:
    subprocess.run([sys.executable, "-c", "import kanca.testing"], check=True, capture_output=True)
