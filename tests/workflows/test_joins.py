from __future__ import annotations

from typing import Any

import pytest

from kanca.domain.task import Wait
from tests.workflows.acting import Play, graph, node, waiting

ANY = node("join", "Merge", mode="any")


def race(*nodes: dict[str, Any], edges: str) -> Play:
    return Play(graph(*nodes, ANY, edges=edges))


async def test_all_waits_for_all_ways_and_gives_each_ones_output() -> None:
    play = Play(
        graph(
            node("a", "Effect", gives=1),
            node("b", "Transform", value=2),
            node("join", "Merge"),
            edges="start>a start>b a>join b>join",
        )
    )
    await play.finish()
    assert play.output == {"a": 1, "b": 2}


async def test_all_does_not_wait_for_a_way_that_was_not_taken() -> None:
    play = Play(
        graph(
            node("check", "Branch", condition="true"),
            node("yes", "Transform", value="yes"),
            node("no", "Transform", value="no"),
            node("join", "Merge"),
            edges="start>check check.true>yes check.false>no yes>join no>join",
        )
    )
    await play.finish()
    assert play.output == "yes"


async def test_a_join_that_no_way_leads_to_is_skipped() -> None:
    play = Play(
        graph(
            node("check", "Branch", condition="true"),
            node("no", "Transform", value="no"),
            ANY,
            edges="start>check check.false>no no>join check.false>join",
        )
    )
    await play.finish()
    assert play.statuses()["join"] == "skipped"


async def test_a_loser_at_work_is_cancelled_and_what_follows_it_is_skipped() -> None:
    play = race(
        node("slow", "Effect", gated=True),
        node("after", "Effect"),
        node("quick", "Effect", gives="quick"),
        edges="start>slow slow>after after>join start>quick quick>join",
    )
    await play.finish()
    assert play.output == "quick"
    assert play.actors.cancelled == [("slow", 0)]
    assert play.statuses() == {
        "start": "succeeded",
        "quick": "succeeded",
        "slow": "cancelled",
        "after": "skipped",
        "join": "succeeded",
    }


async def test_a_loser_that_could_begin_at_the_same_moment_is_not_begun() -> None:
    play = race(
        node("quick", "Transform", value="quick"),
        node("effect", "Effect"),
        edges="start>effect effect>join start>quick quick>join",
    )
    await play.finish()
    assert (play.output, play.actors.called()) == ("quick", [])
    assert play.statuses()["effect"] == "skipped"


async def test_a_loser_that_waits_is_closed() -> None:
    play = race(
        waiting("paid"), node("quick", "Effect", gives=1), edges="start>paid paid>join start>quick quick>join"
    )
    await play.finish()
    assert (play.output, play.statuses()["paid"], play.waits()) == (1, "cancelled", {"paid": "cancelled"})


async def test_a_loser_that_an_event_came_for_a_moment_before_has_taken_it() -> None:
    play = race(
        waiting("paid"),
        node("quick", "Effect", gives=1, gated=True),
        edges="start>paid paid>join start>quick quick>join",
    )
    going = play.begin()
    await play.begun("quick")
    await play.until(lambda: play.waits() == {"paid": "open"})
    play.world.desk.claim("paid", play.world.event(b'{"by":"card"}'))  # and nobody says so
    play.open("quick")
    await going
    assert (play.output, play.waits()) == (1, {"paid": "claimed"})
    assert (play.store.step("paid").status.value, play.store.step("paid").output) == (
        "succeeded",
        b'{"by":"card"}',
    )


async def test_a_loser_that_comes_back_with_a_failure_does_not_fail_the_run() -> None:
    play = race(
        node("asked", "Approval", title="?"),
        node("quick", "Effect", gives=1, gated=True),
        edges="start>asked asked.approved>join start>quick quick>join",
    )
    going = play.begin()
    await play.until(lambda: play.waits() == {"asked": "open"})
    play.world.desk.claim("asked", play.world.event(b'"nothing of use"'))
    play.open("quick")
    await going
    assert (play.status, play.output, play.statuses()["asked"]) == ("succeeded", 1, "cancelled")


async def test_a_loser_that_sleeps_or_will_be_tried_again_is_cancelled() -> None:
    play = race(
        node("pause", "Delay", seconds=60),
        node("flaky", "Effect"),
        node("quick", "Effect", gated=True, gives=1),
        edges="start>pause pause>join start>flaky flaky>join start>quick quick>join",
    )
    play.actors.failures["flaky"] = [ValueError("no")]
    going = play.begin()
    await play.until(lambda: play.store.attempts)
    play.open("quick")
    await going
    assert play.status == "succeeded"
    assert {play.statuses()["pause"], play.statuses()["flaky"]} == {"cancelled"}


async def test_a_loser_that_is_a_loop_is_cancelled_with_all_its_items() -> None:
    play = race(
        node("each", "ForEach", items="[1, 2, 3]", concurrency=2),
        node("work", "Effect", gated=True),
        waiting("answer"),
        node("quick", "Effect", gives="quick", gated=True),
        edges="start>each each.item>work each.item>answer each>join start>quick quick>join",
    )
    going = play.begin()
    await play.until(lambda: play.waits() == {"answer#1": "open", "answer#2": "open"})
    play.open("quick")
    await going
    assert (play.status, play.output) == ("succeeded", "quick")
    assert sorted(play.actors.cancelled) == [("work", 1), ("work", 2)]
    assert set(play.waits().values()) == {"cancelled"}
    assert play.statuses()["each"] == "cancelled"
    assert ("work", 3) not in play.actors.called()


async def test_what_also_leads_elsewhere_goes_on_when_it_has_lost() -> None:
    play = race(
        node("slow", "Effect", gives="slow", gated=True),
        node("other", "Effect"),
        node("quick", "Effect", gives="quick"),
        edges="start>slow slow>join slow>other start>quick quick>join",
    )
    going = play.begin()
    await play.until(lambda: "join" in play.statuses())
    play.open("slow")
    await going
    assert play.output == {"join": "quick", "other": "slow"}


async def test_a_join_in_the_body_of_a_loop_decides_for_each_item() -> None:
    play = Play(
        graph(
            node("each", "ForEach", items="[1, 2]"),
            waiting("answer"),
            node("limit", "Delay", seconds=60),
            ANY,
            edges="start>each each.item>answer each.item>limit answer>join limit>join",
        )
    )
    assert isinstance((await play.go_on()).disposition, Wait)
    play.come("answer", '"yes"', 2)
    await play.finish()
    assert play.output == [1, "yes"]
    assert play.waits() == {"answer#1": "cancelled", "answer#2": "claimed"}
    assert (play.statuses()["limit#1"], play.statuses()["limit#2"]) == ("succeeded", "cancelled")


async def test_two_joins_in_a_row_each_let_the_first_through() -> None:
    play = Play(
        graph(
            node("a", "Effect", gives="a"),
            node("b", "Effect", gated=True),
            node("c", "Effect", gated=True),
            node("first", "Merge", mode="any"),
            node("last", "Merge", mode="any"),
            edges="start>a start>b start>c a>first b>first first>last c>last",
        )
    )
    await play.finish()
    assert play.output == "a"
    assert sorted(play.actors.cancelled) == [("b", 0), ("c", 0)]


@pytest.mark.parametrize("winner", ["left", "right"])
async def test_a_decision_that_is_stored_is_kept_after_a_crash(winner: str) -> None:
    values = graph(
        node("left", "Effect", gated=True, gives="left"),
        node("right", "Effect", gated=True, gives="right"),
        ANY,
        node("then", "Effect", gated=True),
        edges="start>left start>right left>join right>join join>then",
    )
    play = Play(values)
    play.open(winner)
    going = play.begin()
    await play.begun("then")  # so the decision is stored
    after = Play(values)
    after.event, after.store = play.event, play.store.copy()
    going.cancel()
    after.open("left")
    after.open("right")
    after.open("then")
    await after.finish()
    assert (after.output, after.actors.called()) == (winner, [("then", 0)])
