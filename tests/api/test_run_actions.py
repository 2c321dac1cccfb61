from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, select

from kanca.domain.ids import RUN, show_id
from kanca.domain.status import RunStatus
from kanca.domain.task import NewTask, TaskKind, TaskState
from kanca.errors import InvalidInput
from kanca.handlers.registry import HandlerRegistry
from kanca.storage import runs, workflows
from kanca.storage.ports import Database
from kanca.storage.tables import tasks
from kanca.workflows.going_back import way_back
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.step import StepContext
from kanca.workflows.validation import read_workflow
from tests.api.conftest import Wakes
from tests.api.living import KEYS, WAIT, Living, edge, node
from tests.api.rows import later_ids, store
from tests.api.test_runs import NOW, a_run, a_step

WAITING = [node("paid", "WebhookTrigger", **KEYS)], [edge("start", "paid")]


def failing(calls: list[str], broken: set[str]) -> NodeRegistry:
    """A registry with a node type that fails for what is broken, and remembers its calls."""
    registry = built_in_registry()

    @registry.node("Call", max_retries=1)
    async def call(step: StepContext, config: Any) -> Any:
        calls.append(f"{step.node_id} {step.call_id}")
        if step.node_id in broken:
            raise ValueError("broken")
        return {"by": step.node_id, "input": step.input}

    return registry


async def test_a_run_that_waits_is_cancelled_with_the_run_that_it_waits_for(living: Living) -> None:
    await living.publish([node("hold", "WebhookTrigger")], [edge("start", "hold")], "child")
    await living.publish([node("sub", "SubWorkflow", workflow_id="child")], [edge("start", "sub")])
    await living.site.start()
    (run_id,) = await living.begin({})
    await living.until(run_id, RunStatus.WAITING)

    async def child() -> dict[str, Any] | None:
        found = (await living.ask("GET", "runs?workflow_id=child"))["items"]
        return found[0] if found and found[0]["status"] == "waiting" else None

    async def is_waiting() -> bool:
        return await child() is not None

    await living.site.until(is_waiting)

    answered = await living.ask("POST", f"runs/{run_id}/cancel")

    assert answered["cancel_requested_at"] is not None
    await living.until(run_id, RunStatus.CANCELLED)

    async def is_over() -> bool:
        [found] = (await living.ask("GET", "runs?workflow_id=child"))["items"]
        return bool(found["status"] == "cancelled")

    await living.site.until(is_over)
    assert await living.refused("POST", f"runs/{run_id}/cancel") == (409, "run_over")


async def test_a_run_of_a_paused_workflow_can_be_cancelled(living: Living) -> None:
    await living.publish(*WAITING)
    await living.ask("POST", "workflows/w/pause")
    await living.site.start()
    (run_id,) = await living.begin({"order": "A"})

    async def is_parked() -> bool:
        return [task.state for task in await living.site.tasks()] == [TaskState.PARKED]

    await living.site.until(is_parked)

    assert (await living.ask("POST", f"runs/{run_id}/cancel"))["cancel_requested_at"] is not None
    await living.until(run_id, RunStatus.CANCELLED)


async def test_a_run_that_nobody_works_at_is_answered_as_it_stands(
    client: httpx.AsyncClient, database: Database, wakes: Wakes
) -> None:
    run = a_run(status=RunStatus.PENDING)
    await database.write(runs.start, run, NewTask(TaskKind.RUN, run.id, 1, due_at=NOW), NOW)

    for _ in range(2):
        answer = (await client.post(f"/api/runs/{show_id(RUN, run.id)}/cancel")).json()
        assert (answer["status"], answer["cancel_requested_at"] is not None) == ("pending", True)

    def state(connection: Connection) -> Any:
        return connection.execute(select(tasks.c.state)).scalar_one()

    assert await database.read(state) == TaskState.READY
    assert wakes.count == 2


async def test_what_cannot_be_done_with_a_run_is_refused(
    client: httpx.AsyncClient, database: Database
) -> None:
    over, going, test = (
        a_run(status=RunStatus.SUCCEEDED),
        a_run(),
        a_run(status=RunStatus.FAILED, is_test=True),
    )
    await store(database, over, going, test)
    unknown = show_id(RUN, later_ids.new())

    async def code(run: str, action: str, **body: Any) -> tuple[int, str]:
        answer = await client.post(f"/api/runs/{run}/{action}", json=body or None)
        return answer.status_code, answer.json()["code"]

    for action in ("cancel", "retry", "replay"):
        assert await code(unknown, action) == (404, "run_not_found")
    shown = [show_id(RUN, run.id) for run in (over, going, test)]
    assert await code(shown[0], "cancel") == (409, "run_over")
    assert await code(shown[1], "retry", **{"from": "a"}) == (409, "run_unfinished")
    assert await code(shown[2], "retry") == (422, "invalid_input")
    assert await code(shown[2], "replay") == (422, "invalid_input")
    assert await code(shown[0], "replay") == (404, "workflow_not_found")
    assert await code(shown[0], "retry", start="a") == (422, "invalid_request")


async def test_a_failed_run_is_tried_again_where_it_failed(living: Living) -> None:
    calls: list[str] = []
    broken = {"second"}
    await living.publish(
        [node("first", "Call"), node("second", "Call")], [edge("start", "first"), edge("first", "second")]
    )
    await living.site.start(HandlerRegistry(), failing(calls, broken))
    (run_id,) = await living.begin({})
    await living.until(run_id, RunStatus.FAILED)
    broken.clear()

    assert (await living.ask("POST", f"runs/{run_id}/retry"))["status"] == "pending"

    await living.until(run_id, RunStatus.SUCCEEDED)
    assert [call.split()[0] for call in calls] == ["first", "second", "second"]
    assert calls[1] == calls[2]
    assert not await living.site.letters()


@pytest.mark.parametrize("status", ["succeeded", "failed"])
async def test_a_run_goes_back_before_a_node_and_keeps_what_came_before(living: Living, status: str) -> None:
    calls: list[str] = []
    broken = {"third"} if status == "failed" else set()
    await living.publish(
        [node("first", "Call"), node("second", "Call"), node("third", "Call")],
        [edge("start", "first"), edge("first", "second"), edge("second", "third")],
    )
    nodes = failing(calls, broken)
    await living.site.start(HandlerRegistry(), nodes)
    (run_id,) = await living.begin({"n": 1})
    before = await living.until(run_id, RunStatus(status))
    broken.clear()
    assert before.event_id is not None

    # The gateway knows the app's node types from its workers.
    living.client._transport.app.state.services.nodes.add(nodes.get("Call"))  # type: ignore[attr-defined]  # noqa: SLF001 - the test's own
    assert await living.refused("POST", f"runs/{run_id}/retry", {"from": "none"}) == (422, "invalid_input")
    for _ in range(2):
        await living.ask("POST", f"runs/{run_id}/retry", body={"from": "second"})
        await living.until(run_id, RunStatus.SUCCEEDED)
        await living.site.ended(before.event_id)

    assert [call.split()[0] for call in calls] == ["first", *["second", "third"] * 3]
    assert len(set(calls)) == 7
    assert not await living.site.letters()
    (outcome,) = await living.site.outcomes(before.event_id)
    assert (outcome.status, outcome.works) == ("succeeded", 1)
    shown = (await living.ask("GET", f"runs/{run_id}"))["steps"]
    assert sorted(step["node_id"] for step in shown if step["status"] != "replaced") == [
        "first",
        "second",
        "start",
        "third",
    ]


async def test_a_run_that_goes_back_waits_anew(living: Living) -> None:
    await living.publish(*WAITING)
    await living.site.start()
    (run_id,) = await living.begin({"order": "A"})
    await living.until(run_id, RunStatus.WAITING)
    await living.site.accept(endpoint=WAIT, data={"order": "A", "n": 1})
    await living.until(run_id, RunStatus.SUCCEEDED)

    await living.ask("POST", f"runs/{run_id}/retry", body={"from": "paid"})
    await living.until(run_id, RunStatus.WAITING)
    await living.site.accept(endpoint=WAIT, data={"order": "A", "n": 2})

    ended = await living.until(run_id, RunStatus.SUCCEEDED)
    assert ended.output == b'{"order":"A","n":2}'


async def test_a_cancelled_run_can_go_back(living: Living) -> None:
    await living.publish(*WAITING)
    await living.site.start()
    (run_id,) = await living.begin({"order": "A"})
    await living.until(run_id, RunStatus.WAITING)
    await living.ask("POST", f"runs/{run_id}/cancel")
    await living.until(run_id, RunStatus.CANCELLED)
    assert await living.refused("POST", f"runs/{run_id}/retry") == (409, "run_not_failed")

    again = await living.ask("POST", f"runs/{run_id}/retry", body={"from": "start"})

    assert again["cancel_requested_at"] is None
    await living.until(run_id, RunStatus.WAITING)


async def test_a_replay_is_a_new_run_of_the_published_version(living: Living) -> None:
    await living.publish([node("say", "Transform", value="one")], [edge("start", "say")])
    await living.site.start()
    (run_id,) = await living.begin({"order": "A"})
    first = await living.until(run_id, RunStatus.SUCCEEDED)
    await living.publish(
        [node("say", "Transform", value="='two ' + event.data.order")], [edge("start", "say")]
    )

    new = await living.ask("POST", f"runs/{run_id}/replay")

    assert (new["version"], new["status"]) == (2, "pending")
    ended = await living.until(new["id"], RunStatus.SUCCEEDED)
    assert ended.output == b'"two A"'
    assert ended.event_id not in {None, first.event_id}
    assert ended.event_id is not None
    (outcome,) = await living.site.ended(ended.event_id)
    assert (outcome.work, outcome.works) == ("workflow:w", 1)
    shown = await living.ask("GET", f"events/{new['event_id']}")
    assert shown["replay_of"] is not None


async def test_a_run_without_an_event_is_replayed_by_hand_with_its_input(living: Living) -> None:
    await living.publish([], [])
    by_hand = await living.ask("POST", "workflows/w/runs", body={"data": {"n": 7}})

    new = await living.ask("POST", f"runs/{by_hand['id']}/replay")

    assert (new["origin"], new["input"], new["event_id"]) == ("hand", {"n": 7}, None)
    await living.site.database.write(workflows.unpublish, "w", NOW)
    assert await living.refused("POST", f"runs/{by_hand['id']}/replay") == (409, "workflow_not_published")


LOOP = {
    "id": "w",
    "nodes": [
        node("start", "WebhookTrigger"),
        node("each", "ForEach", items="[1, 2]"),
        node("body", "Log", message="x"),
        node("other", "Log", message="y"),
        node("stop", "Stop"),
    ],
    "edges": [
        edge("start", "each"),
        edge("each", "body", "item"),
        edge("each", "stop"),
        edge("start", "other"),
    ],
}


def test_going_back_into_a_loop_replaces_the_whole_loop() -> None:
    workflow, run = read_workflow(LOOP, built_in_registry()), a_run()
    first = a_step(run, "start")
    steps = [first, a_step(run, "each"), a_step(run, "body", id=later_ids.new(), iteration=1)]

    back = way_back(workflow, steps, (), "body")

    assert set(back.replaced) == {step.id for step in steps[1:]}
    assert back.generation > way_back(workflow, steps[:1], (), "body").generation


def test_what_a_replaced_decision_has_cut_short_is_decided_again() -> None:
    workflow, run = read_workflow(LOOP, built_in_registry()), a_run()
    steps = [a_step(run, "start"), a_step(run, "stop"), a_step(run, "other", status="cancelled", port=None)]

    assert set(way_back(workflow, steps, (), "stop").replaced) == {steps[1].id, steps[2].id}
    with pytest.raises(InvalidInput):
        way_back(workflow, steps, (), "nowhere")


async def test_a_run_that_another_one_started_is_replayed_with_that_one(living: Living) -> None:
    await living.publish([node("say", "Transform", value="=event.data")], [edge("start", "say")], "child")
    await living.publish([node("sub", "SubWorkflow", workflow_id="child")], [edge("start", "sub")])
    await living.site.start()
    (run_id,) = await living.begin({"name": "Ada"})
    await living.until(run_id, RunStatus.SUCCEEDED)
    (child,) = (await living.ask("GET", "runs?workflow_id=child"))["items"]

    # What it was given is a copy, which nothing would find when the event is expunged.
    assert await living.refused("POST", f"runs/{child['id']}/replay") == (422, "invalid_input")

    assert (await living.ask("GET", "runs?workflow_id=child"))["items"] == [child]
