from __future__ import annotations

import json
import time
from typing import Any

import pytest

from kanca.domain.task import Wait
from kanca.errors import InvalidWorkflow
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.validation import read_workflow
from kanca.workflows.values import read_json
from tests.workflows.acting import Play, graph, node, waiting


def loop(*body: dict[str, Any], edges: str, **config: Any) -> Play:
    each = node("each", "ForEach", **{"items": "[10, 20, 30]"} | config)
    return Play(graph(each, *body, edges=f"start>each {edges}"))


async def test_the_results_are_in_the_order_of_the_items_whoever_ends_first() -> None:
    play = loop(node("work", "Effect", gated=True), edges="each.item>work")
    going = play.begin()
    await play.begun("work", 3)
    for number in (3, 1, 2):
        play.open("work", number)
        await play.until(lambda number=number: f"work#{number}" in play.statuses() or going.done())
    await going
    assert play.output == [10, 20, 30]


async def test_only_so_many_items_are_at_work_at_once() -> None:
    play = loop(
        node("work", "Effect"),
        node("more", "Effect"),
        edges="each.item>work work>more",
        items=json.dumps(list(range(20))),
        concurrency=3,
    )
    await play.finish()
    assert play.actors.most_at_work == 3
    assert play.output == list(range(20))


async def test_an_item_that_waits_takes_the_place_of_one_at_work() -> None:
    play = loop(waiting("answer"), edges="each.item>answer", concurrency=2)
    await play.go_on()
    assert play.waits() == {"answer#1": "open", "answer#2": "open"}
    play.come("answer", '"second"', 2)
    await play.go_on()
    assert play.waits() == {"answer#1": "open", "answer#2": "claimed", "answer#3": "open"}
    play.come("answer", '"first"', 1)
    play.come("answer", '"third"', 3)
    await play.finish()
    assert play.output == ["first", "second", "third"]


async def test_ten_thousand_items_that_are_computed_take_no_long_time() -> None:
    async def seconds(count: int) -> float:
        play = loop(
            node("double", "Transform", value="=input * 2"),
            node("add", "Transform", value="=input + steps.each.index"),
            edges="each.item>double double>add",
            items="event.data",
            max_items=10_000,
        )
        play.event = play.world.event(json.dumps(list(range(count))).encode())
        play.store = play.world.dispatched(play.event)
        began_at = time.perf_counter()
        await play.finish()
        assert play.output == [number * 3 for number in range(count)]
        return time.perf_counter() - began_at

    small = await seconds(1_000)
    assert await seconds(10_000) < 30 * small  # ten times as many take about ten times as long


@pytest.mark.parametrize(("items", "results"), [("[]", []), ("[1]", [1])], ids=["no items", "one item"])
async def test_few_items_are_no_special_case(items: str, results: list[Any]) -> None:
    play = loop(node("work", "Transform", value="=input"), edges="each.item>work", items=items)
    await play.finish()
    assert play.output == results


async def test_a_loop_without_a_body_gives_its_items() -> None:
    play = loop(edges="")
    await play.finish()
    assert (play.status, play.output) == ("succeeded", [10, 20, 30])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("[1, 2, 3]", "at most 2 are wanted"),
        ("{'a': 1}", "items must be a list"),
        ("'abc'", "items must be a list"),
        ("input.none", "none"),
    ],
)
async def test_what_is_no_list_or_too_long_a_one_fails_the_loop(items: str, message: str) -> None:
    play = loop(node("work", "Effect"), edges="each.item>work", items=items, max_items=2)
    await play.finish()
    assert (play.status, play.error["node"], play.actors.calls) == ("failed", "each", [])
    assert message in play.error["message"]


async def test_an_item_that_fails_fails_the_run() -> None:
    play = loop(node("work", "Effect", refuses=20, retry={"max_retries": 1}), edges="each.item>work")
    await play.finish()
    assert (play.status, play.error["message"]) == ("failed", "not 20")
    assert play.statuses()["work#2"] == "dead"


async def test_an_item_that_fails_leaves_its_error_among_the_results() -> None:
    play = loop(
        node("work", "Effect", refuses=20, retry={"max_retries": 1}),
        node("then", "Effect"),
        waiting("answer"),
        edges="each.item>work work>then each.item>answer",
        continue_on_error=True,
    )
    await play.go_on()
    for number in (1, 3):
        play.come("answer", "1", number)
    await play.finish()
    first, second, third = play.output
    assert (first, third) == ({"then": 10, "answer": 1}, {"then": 30, "answer": 1})
    assert second["error"]["message"] == "not 20"
    assert (play.statuses()["work#2"], play.statuses()["then#2"]) == ("failed", "skipped")
    assert (play.waits()["answer#2"], play.statuses()["answer#2"]) == ("cancelled", "cancelled")


async def test_an_item_can_go_on_by_the_error_port_of_its_node() -> None:
    play = loop(
        node("work", "Effect", refuses=20, retry={"max_retries": 1}),
        node("mend", "Transform", value="=input.input + 1"),
        edges="each.item>work work.error>mend",
    )
    await play.finish()
    assert play.output == [10, 21, 30]


async def test_items_are_tried_again_each_by_itself() -> None:
    play = loop(node("work", "Effect"), edges="each.item>work")
    play.actors.failures["work"] = [ValueError("once"), ValueError("once more")]
    await play.finish()
    assert play.output == [10, 20, 30]
    assert sorted(play.actors.called()) == [("work", 1), ("work", 1), ("work", 2), ("work", 2), ("work", 3)]
    calls = {step.call_id for step in play.actors.calls}
    assert len(calls) == 3


async def test_delays_in_loops_pass_once() -> None:
    play = loop(
        node("pause", "Delay", seconds=60), node("work", "Effect"), edges="each.item>pause pause>work"
    )
    completion = await play.go_on()
    assert isinstance(completion.disposition, Wait)
    play.world.clock.at += completion.disposition.delay
    await play.go_on()
    assert play.store.is_over
    assert play.output == [10, 20, 30]


async def test_after_a_crash_no_stored_item_is_done_again() -> None:
    play = loop(node("work", "Effect", gated=True), edges="each.item>work", concurrency=2)
    going = play.begin()
    await play.begun("work", 2)
    play.open("work", 2)
    await play.begun("work", 3)  # so the second is stored
    after = loop(node("work", "Effect"), edges="each.item>work", concurrency=2)
    after.event, after.store = play.event, play.store.copy()
    going.cancel()
    await after.finish()
    assert after.actors.called() == [("work", 1), ("work", 3)]
    assert after.output == [10, 20, 30]
    call_ids = {step.iteration: step.call_id for step in play.actors.calls}
    assert all(call_ids[step.iteration] == step.call_id for step in after.actors.calls)


async def test_a_body_sees_its_item_and_what_came_before_the_loop() -> None:
    play = Play(
        graph(
            node("before", "Transform", value={"factor": 3}),
            node("each", "ForEach", items="[5, 6]"),
            node("a", "Transform", value="=steps.each.item * steps.before.factor"),
            node("b", "Transform", value="=[steps.a, steps.each.index, input, event.data.total]"),
            node("after", "Transform", value="=steps.each"),
            edges="start>before before>each each.item>a a>b each>after",
        )
    )
    await play.finish()
    assert play.output == [[15, 0, 15, 150], [18, 1, 18, 150]]


async def test_the_body_ends_before_what_follows_the_loop_begins() -> None:
    play = loop(
        node("work", "Effect"), node("after", "Effect"), edges="each.item>work each>after", concurrency=1
    )
    await play.finish()
    assert play.actors.called() == [("work", 1), ("work", 2), ("work", 3), ("after", 0)]
    assert read_json(play.store.step("after").input or b"") == [10, 20, 30]


async def test_stop_in_a_body_ends_the_run() -> None:
    play = loop(
        node("check", "Branch", condition="input == 20"),
        node("done", "Stop"),
        node("work", "Effect", gated=True),
        edges="each.item>check check.true>done check.false>work",
    )
    await play.finish()
    assert (play.status, play.output) == ("succeeded", 20)


@pytest.mark.parametrize(
    ("edges", "code"),
    [
        ("start>each each.item>inner inner.item>work", "nested_loop"),
        ("start>each each.item>work start>work start>inner", "loop_entered"),
        ("start>each each.item>work each>work start>inner", "loop_entered"),
        ("start>each start>inner each.item>work inner.item>work", "loop_entered"),
    ],
)
def test_loops_in_loops_and_other_ways_into_a_body_are_refused(edges: str, code: str) -> None:
    values = graph(
        node("each", "ForEach", items="[1]"),
        node("inner", "ForEach", items="[1]"),
        node("work", "Transform", value=1),
        edges=edges,
    )
    with pytest.raises(InvalidWorkflow) as refused:
        read_workflow(values, built_in_registry())
    assert code in {problem["code"] for problem in refused.value.facts["problems"]}
