"""An endpoint's filter decides, before anything else, whether anything is done for an event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Connection

from kanca.domain.status import EventStatus, OutcomeStatus
from kanca.domain.task import TaskKind, TaskState
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from kanca.storage import dead_letters
from kanca.storage.dead_letters import DeadLetterFilter
from kanca.telemetry.metrics import FILTERED
from tests.workers.site import MOMENT, Site

ECHO = {"id": "echo", "type": "Transform", "config": {"value": {"id": "=event.data.id"}}}


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
def handlers(seen: list[Any]) -> HandlerRegistry:
    """Two handlers that remember what they were given."""
    registry = HandlerRegistry()

    @registry.on("order.*", name="first")
    async def first(event: Event[Any]) -> None:
        seen.append(event.data)

    @registry.on("order.*", name="second")
    async def second(event: Event[Any]) -> None:
        seen.append(event.data)

    return registry


async def filter_by(site: Site, source: str | None) -> None:
    await site.change_endpoint(config=json.dumps({"filter": source}))


async def test_an_event_that_the_filter_does_not_let_through_is_skipped(
    site: Site, handlers: HandlerRegistry, seen: list[Any]
) -> None:
    await filter_by(site, "event.type == 'order.created' && event.data.total >= 100")
    before = filtered()
    await site.start(handlers)
    [small] = await site.accept(data={"total": 99})
    [large] = await site.accept(data={"total": 100})
    [outcome] = await site.ended(small)
    await site.ended(large)
    assert (outcome.work, outcome.status, outcome.reason) == ("dispatch", OutcomeStatus.SKIPPED, "filtered")
    assert await site.status(small) is EventStatus.SKIPPED
    assert await site.status(large) is EventStatus.SUCCEEDED
    assert seen == [{"total": 100}] * 2
    await site.stop()
    assert filtered() == before + 1


async def test_a_filter_sees_what_other_expressions_see_and_may_run_over_lists(
    site: Site, handlers: HandlerRegistry, seen: list[Any]
) -> None:
    await filter_by(
        site,
        "event.headers['x-shop'] == 'a' && event.id.startsWith('evt_') && event.source_event_id == 's-1'"
        " && event.data.lines.exists(line, line.price > 10)",
    )
    request = b'{"headers": [["X-Shop", "a"]], "authenticated": true}'
    await site.start(handlers)
    for price, status in ((11, EventStatus.SUCCEEDED), (9, EventStatus.SKIPPED)):
        data = {"lines": [{"price": 1}, {"price": price}]}
        [event] = await site.accept(data=data, request=request, source_event_id="s-1")
        await site.ended(event)
        assert await site.status(event) is status


async def test_a_workflow_is_filtered_as_handlers_are(site: Site) -> None:
    await site.add_workflow("flow", ECHO)
    await site.change_endpoint(workflow_id="flow", node_id="start", config='{"filter": "event.data.id > 7"}')
    await site.start()
    [missed] = await site.accept(body=b'{"id":7}')
    [taken] = await site.accept(body=b'{"id":8}')
    assert [outcome.work for outcome in await site.ended(missed)] == ["dispatch"]
    assert [outcome.work for outcome in await site.ended(taken)] == ["workflow:flow"]


async def test_a_replay_is_filtered_as_well(site: Site, handlers: HandlerRegistry, seen: list[Any]) -> None:
    await site.start(handlers)
    [original] = await site.accept(data={"total": 1})
    await site.ended(original)
    await filter_by(site, "event.data.total > 1")
    [replay] = await site.accept(data={"total": 1}, replay_of=original)
    [outcome] = await site.ended(replay)
    assert outcome.reason == "filtered"
    assert len(seen) == 2


async def test_a_changed_filter_counts_for_the_very_next_event(site: Site, handlers: HandlerRegistry) -> None:
    await site.start(handlers)
    for source, status in (
        ("false", "skipped"),
        (None, "succeeded"),
        ("true", "succeeded"),
        ("1 > 2", "skipped"),
    ):
        await filter_by(site, source)
        [event] = await site.accept(data={})
        await site.ended(event)
        assert await site.status(event) == status


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("event.data.total > 1", "no key"),
        ("event.data.name", "not true or false"),
        ("event.data.name > 1", "types"),
        ("event.", "column"),
    ],
)
async def test_a_filter_that_fails_is_a_dead_letter_with_its_cause(
    site: Site, handlers: HandlerRegistry, seen: list[Any], source: str, says: str
) -> None:
    await filter_by(site, source)
    await site.start(handlers)
    [event] = await site.accept(data={"name": "x"})
    [outcome] = await site.ended(event)
    [letter] = await site.letters()
    assert await site.status(event) is EventStatus.DEAD
    assert (outcome.work, outcome.status, outcome.reason) == ("dispatch", OutcomeStatus.DEAD, "filter_failed")
    assert (letter.code, letter.event_id, letter.kind) == ("filter_failed", event, TaskKind.DISPATCH)
    cause = json.loads(letter.error)
    assert cause["code"] == "filter_failed"
    assert says in cause["message"]
    assert (seen, await site.tasks()) == ([], [])


@pytest.mark.parametrize(
    ("mended", "status"), [("true", EventStatus.SUCCEEDED), ("false", EventStatus.SKIPPED)]
)
async def test_what_died_of_a_filter_is_dispatched_once_the_filter_is_mended(
    site: Site, handlers: HandlerRegistry, seen: list[Any], mended: str, status: EventStatus
) -> None:
    await filter_by(site, "event.data.total > 1")
    await site.start(handlers)
    [event] = await site.accept(data={"name": "x"})
    await site.ended(event)
    await filter_by(site, mended)

    def retry(connection: Connection) -> int:
        return dead_letters.retry_some(connection, DeadLetterFilter(code="filter_failed"), MOMENT)

    assert await site.database.write(retry) == 1
    site.waker.wake()
    await site.ended(event)
    assert await site.status(event) is status
    assert len(seen) == (2 if status is EventStatus.SUCCEEDED else 0)
    assert await site.letters() == ()


async def test_a_paused_endpoints_events_wait_for_the_filter_that_it_has_in_the_end(
    site: Site, handlers: HandlerRegistry
) -> None:
    await site.change_endpoint(is_paused=True, config='{"filter": "false"}')
    await site.start(handlers)
    [event] = await site.accept(data={})

    async def is_parked() -> bool:
        return [task.state for task in await site.tasks()] == [TaskState.PARKED]

    await site.until(is_parked)
    await site.change_endpoint(is_paused=False, config="{}")
    await site.database.queue.unpark(TaskKind.DISPATCH, 100)
    site.waker.wake()
    await site.ended(event)
    assert await site.status(event) is EventStatus.SUCCEEDED


def filtered() -> float:
    """How many events were filtered, in this process."""
    return sum(
        sample.value
        for metric in FILTERED.collect()
        for sample in metric.samples
        if sample.name == "webhook_filtered_total"
    )
