"""What others do to a run while it is at work: nobody waits for a node that has nothing to do with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from kanca.domain.task import HandBack, Park, Retry, Wait
from kanca.errors import DatabaseUnavailable
from kanca.workflows.desk import News
from tests.workflows.acting import Play, graph, node, waiting


def beside(*nodes: dict[str, Any], edges: str) -> Play:
    """A graph with one branch that is at work until its gate is opened."""
    return Play(graph(node("slow", "Effect", gated=True), *nodes, edges=f"start>slow {edges}"))


async def test_an_event_is_acted_on_while_another_branch_is_at_work() -> None:
    play = beside(waiting("paid"), node("then", "Effect"), edges="start>paid paid>then")
    going = play.begin()
    await play.until(lambda: play.waits() == {"paid": "open"})
    play.come("paid", '"yes"')
    await play.begun("then")
    assert not going.done()
    play.open("slow")
    await going
    assert play.output == {"slow": {"total": 150}, "then": "yes"}


async def test_a_delay_passes_while_another_branch_is_at_work() -> None:
    play = beside(node("pause", "Delay", seconds=60), node("then", "Effect"), edges="start>pause pause>then")
    going = play.begin()
    await play.begun("slow")
    play.world.clock.at += timedelta(seconds=60)
    play.world.notice()
    await play.begun("then")
    play.open("slow")
    await going
    assert play.status == "succeeded"


async def test_a_delay_that_began_beside_a_node_at_work_does_not_begin_anew_after_a_crash() -> None:
    values = graph(
        node("slow", "Effect", gated=True),
        node("quick", "Effect", gated=True),
        node("pause", "Delay", seconds=60),
        edges="start>slow start>quick quick>pause",
    )
    play = Play(values)
    going = play.begin()
    await play.begun("quick")
    play.open("quick")
    await play.until(lambda: b"pause" in (play.store.task.detail or b""))
    going.cancel()
    after = Play(values)
    after.event, after.store = play.event, play.store.copy()
    after.world.clock.at = play.world.clock.at + timedelta(seconds=61)
    after.open("slow")
    await after.go_on()
    assert after.store.is_over


async def test_a_wait_times_out_while_another_branch_is_at_work() -> None:
    play = beside(waiting("paid", timeout=60), node("then", "Effect"), edges="start>paid paid.timeout>then")
    going = play.begin()
    await play.until(lambda: play.waits() == {"paid": "open"})
    play.world.clock.at += timedelta(seconds=60)
    play.world.notice()
    await play.begun("then")
    play.open("slow")
    await going
    assert play.waits() == {"paid": "timed_out"}


async def test_a_run_that_is_cancelled_stops_what_is_at_work() -> None:
    play = beside(waiting("paid"), edges="start>paid")
    going = play.begin()
    await play.until(lambda: play.waits() == {"paid": "open"})
    play.world.desk.is_cancelled = True
    play.world.notice()
    await going
    assert (play.status, play.actors.cancelled) == ("cancelled", [("slow", 0)])
    assert play.waits() == {"paid": "cancelled"}


async def test_a_paused_workflow_begins_nothing_and_lets_what_is_at_work_end() -> None:
    play = beside(node("then", "Effect"), edges="slow>then")
    going = play.begin()
    await play.begun("slow")
    play.world.is_paused = True
    play.open("slow")
    completion = await going
    assert isinstance(completion.disposition, Park)
    assert (play.actors.called(), play.statuses()["slow"]) == ([("slow", 0)], "succeeded")
    play.world.is_paused = False
    await play.finish()
    assert (play.status, play.actors.called()) == ("succeeded", [("slow", 0), ("then", 0)])


async def test_what_comes_for_a_paused_workflow_is_there_when_it_goes_on() -> None:
    play = beside(waiting("paid"), node("then", "Effect"), edges="start>paid paid>then")
    going = play.begin()
    await play.until(lambda: play.waits() == {"paid": "open"})
    play.world.is_paused = True
    play.come("paid", '"yes"')
    play.open("slow")
    assert isinstance((await going).disposition, Park)
    play.world.is_paused = False
    await play.finish()
    assert play.output["then"] == "yes"


async def test_news_that_comes_as_a_run_lies_down_to_sleep_is_not_lost() -> None:
    play = Play(graph(waiting("paid"), edges="start>paid"))
    opened = play.world.desk.open

    async def open_and_come(opening: Any) -> Any:
        wait = await opened(opening)
        play.come("paid", '"at once"')  # the task now counts as told
        return wait

    play.world.desk.open = open_and_come  # type: ignore[method-assign]  # it comes at the worst moment
    await play.go_on()
    assert (play.store.is_over, play.output) == (True, "at once")


async def test_a_desk_that_does_not_answer_hands_the_run_back() -> None:
    play = beside(waiting("paid"), edges="start>paid")
    going = play.begin()
    await play.until(lambda: play.waits() == {"paid": "open"})

    async def away(run_id: UUID) -> News:
        raise DatabaseUnavailable(str(run_id))

    play.world.desk.news = away  # type: ignore[method-assign]  # the database has gone
    play.come("paid")
    assert isinstance((await going).disposition, HandBack)
    assert play.actors.cancelled == [("slow", 0)]


async def test_an_event_that_cannot_be_read_now_hands_the_run_back() -> None:
    play = Play(graph(waiting("paid"), edges="start>paid"))
    assert isinstance((await play.go_on()).disposition, Wait)
    play.come("paid")

    async def away(_of: UUID) -> None:
        raise DatabaseUnavailable

    play.world.desk.event = away  # type: ignore[assignment,method-assign]  # the database has gone
    assert isinstance((await play.go_on()).disposition, HandBack)


async def test_an_event_is_acted_on_although_another_branch_is_to_be_tried_again() -> None:
    play = Play(
        graph(
            node("flaky", "Effect"),
            waiting("paid"),
            node("then", "Effect"),
            edges="start>flaky start>paid paid>then",
        )
    )
    play.actors.failures["flaky"] = [ValueError("once")]
    completion = await play.go_on()
    assert isinstance(completion.disposition, Retry)
    play.come("paid", '"yes"')
    await play.go_on()
    assert ("then", 0) in play.actors.called()
