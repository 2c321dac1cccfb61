from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from kanca.domain.ids import EVENT, show_id
from kanca.domain.status import EventStatus, RunStatus
from kanca.storage.tables import attempts, dead_letters, events, outcomes
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.step import StepContext
from tests.api.living import KEYS, WAIT, Living, edge, node

NODES = [
    node("is-big", "Branch", condition="double(event.data.total) > 10.0"),
    node("call", "HttpRequest", method="POST", url="https://shop.example.com/x"),
    node("told", "Transform", value={"status": "=steps.call.status"}),
    node("small", "Transform", value="small"),
    node("paid", "WebhookTrigger", **KEYS),
    node("late", "Transform", value="late"),
    node("publish", "SendWebhook", event_type="order.paid"),
]
EDGES = [
    edge("start", "is-big"),
    edge("is-big", "call", "true"),
    edge("is-big", "small", "false"),
    edge("call", "told"),
    edge("told", "paid"),
    edge("paid", "publish"),
    edge("paid", "late", "timeout"),
]


async def draft(living: Living, nodes: list[dict[str, Any]] = NODES, edges: Any = EDGES) -> None:
    body = {"id": "w", "nodes": [node("start", "WebhookTrigger"), *nodes], "edges": edges}
    await living.ask("POST", "workflows", body=body)


def left(run: dict[str, Any]) -> dict[str, Any]:
    return {step["node_id"]: step["port"] for step in run["steps"] if step["status"] == "succeeded"}


def output(run: dict[str, Any], node_id: str) -> Any:
    return next(step["output"] for step in run["steps"] if step["node_id"] == node_id)


async def test_a_draft_is_tested_without_effects(living: Living) -> None:
    await draft(living)
    await living.site.start()

    run = await living.ask(
        "POST",
        "workflows/w/test",
        body={"data": {"total": 40, "order": 1}, "outputs": {"call": {"status": 201}, "paid": {"n": 1}}},
    )

    assert (run["status"], run["is_test"]) == ("succeeded", True)
    assert output(run, "told") == {"status": 201}
    assert output(run, "paid") == {"n": 1}
    assert left(run).keys() == {"start", "is-big", "call", "told", "paid", "publish"}

    def published(connection: Connection) -> int:
        return connection.scalar(select(func.count()).select_from(events)) or 0

    assert await living.site.database.read(published) == 0
    assert (await living.ask("GET", "runs"))["items"] == []


async def test_what_is_given_may_name_the_port_and_stand_for_any_node(living: Living) -> None:
    await draft(living)
    await living.site.start()
    outputs = {
        "is-big": {"port": "true", "output": None},
        "call": {"status": 201},
        "paid": {"port": "timeout", "output": None},
    }

    run = await living.ask("POST", "workflows/w/test", body={"data": {"total": 1}, "outputs": outputs})

    assert run["output"] == "late"
    assert left(run)["paid"] == "timeout"


async def test_a_loop_can_be_given_as_a_whole(living: Living) -> None:
    nodes = [
        node("each", "ForEach", items="event.data"),
        node("body", "HttpRequest", method="GET", url="https://shop.example.com"),
    ]
    await draft(living, nodes, [edge("start", "each"), edge("each", "body", "item")])
    await living.site.start()

    given = await living.ask("POST", "workflows/w/test", body={"data": [1, 2], "outputs": {"each": ["x"]}})
    run = await living.ask("POST", "workflows/w/test", body={"data": [1, 2]})

    assert given["output"] == ["x"]
    assert len(run["output"]) == 2
    assert sum(step["node_id"] == "body" for step in run["steps"]) == 2


async def test_a_test_with_an_event_leaves_the_event_alone(living: Living) -> None:
    registry = built_in_registry()

    @registry.node("Broken", max_retries=1)
    async def broken(step: StepContext, config: Any) -> None:
        raise ValueError("broken")

    await living.publish([node("call", "Broken")], [edge("start", "call")])
    living.client._transport.app.state.services.nodes.add(registry.get("Broken"))  # type: ignore[attr-defined]  # noqa: SLF001 - the test's own
    await living.site.start(nodes=registry)
    (event,) = await living.site.accept(endpoint=99, data={"n": 5})
    await living.site.ended(event)
    before = await living.site.outcomes(event)
    body = {"event_id": show_id(EVENT, event)}

    run = await living.ask("POST", "workflows/w/test", body=body)
    live = await living.ask("POST", "workflows/w/test", body=body | {"live": ["call"]})

    assert (run["status"], live["status"]) == ("succeeded", "failed")
    assert [run["event_id"], live["event_id"]] == [body["event_id"]] * 2
    assert output(run, "start") == {"n": 5}
    failed = next(step for step in live["steps"] if step["node_id"] == "call")
    assert [attempt["attempt_number"] for attempt in failed["attempts"]] == [1]
    assert await living.site.outcomes(event) == before

    def rows(connection: Connection) -> list[int]:
        of_event = select(func.count()).select_from(attempts).where(attempts.c.event_id == event)
        return [
            connection.scalar(of_event) or 0,
            connection.scalar(select(func.count()).select_from(dead_letters)) or 0,
            connection.scalar(select(func.count()).select_from(outcomes)) or 0,
        ]

    assert await living.site.database.read(rows) == [0, 0, len(before)]
    tests = (await living.ask("GET", f"runs?is_test=true&event_id={body['event_id']}"))["items"]
    assert [each["id"] for each in tests] == sorted((run["id"], live["id"]), reverse=True)


async def test_a_test_takes_no_event_from_runs_and_does_not_mind_a_pause(living: Living) -> None:
    await living.publish([node("paid", "WebhookTrigger", **KEYS)], [edge("start", "paid")])
    await living.site.start()
    (run_id,) = await living.begin({"order": "A"})
    await living.until(run_id, RunStatus.WAITING)
    await living.ask("POST", "workflows/w/pause")

    tested = await living.ask("POST", "workflows/w/test", body={"data": {"order": "A"}})

    assert tested["status"] == "succeeded"
    await living.ask("POST", "workflows/w/resume")
    (paid,) = await living.site.accept(endpoint=WAIT, data={"order": "A"})
    await living.until(run_id, RunStatus.SUCCEEDED)
    await living.site.ended(paid)
    assert await living.site.status(paid) is EventStatus.SUCCEEDED


async def test_a_test_that_cannot_be_is_refused(living: Living) -> None:
    await draft(living)
    refusals: list[dict[str, Any]] = [
        {"outputs": {"none": 1}},
        {"live": ["none"]},
        {"live": ["paid"]},
        {"outputs": {"is-big": {"port": "maybe", "output": 1}}},
        {"node_id": "call"},
        {"data": 1, "event_id": "evt_" + "0" * 32},
    ]
    for body in refusals:
        assert await living.refused("POST", "workflows/w/test", body) == (422, "invalid_input"), body
    unknown = {"event_id": "evt_" + "0" * 32}
    assert await living.refused("POST", "workflows/w/test", unknown) == (404, "event_not_found")
    assert await living.refused("POST", "workflows/w/test", {"version": 9}) == (404, "workflow_not_found")
    assert await living.refused("POST", "workflows/x/test", {}) == (404, "workflow_not_found")
