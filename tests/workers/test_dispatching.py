from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from kanca.domain.ids import RUN, derived_id, show_id
from kanca.domain.status import EventStatus, OutcomeStatus, RunStatus
from kanca.domain.task import TaskKind, TaskState
from kanca.handlers.event import Event
from kanca.handlers.matching import HandlerSpec, encode_spec
from kanca.handlers.registry import HandlerRegistry
from kanca.storage import runs
from kanca.storage.claimed_work import announce_handlers
from tests.workers.site import Site

ECHO = {"id": "echo", "type": "Transform", "config": {"value": {"id": "=event.data.id"}}}


@pytest.fixture
def handlers() -> HandlerRegistry:
    return HandlerRegistry()


def give_name(handlers: HandlerRegistry, name: str, pattern: str = "order.*", **how: Any) -> None:
    """A handler that returns its name."""

    async def handle(event: Event[Any]) -> str:
        return name

    handlers.on(pattern, name=name, **how)(handle)


async def results(site: Site, **event: Any) -> dict[str, bytes | None]:
    """What became of one event, without the dispatch itself."""
    [accepted] = await site.accept(**event)
    outcomes = await site.ended(accepted)
    return {outcome.work: outcome.result for outcome in outcomes if outcome.work != "dispatch"}


async def test_an_event_that_nobody_wants_is_skipped(site: Site, handlers: HandlerRegistry) -> None:
    give_name(handlers, "payments", "payment.*")
    await site.start(handlers)
    [event] = await site.accept()
    [outcome] = await site.ended(event)
    assert (outcome.work, outcome.status, outcome.reason) == ("dispatch", OutcomeStatus.SKIPPED, "no_target")
    assert outcome.works == 0
    assert await site.status(event) is EventStatus.SKIPPED


async def test_every_handler_that_wants_an_event_gets_it(site: Site, handlers: HandlerRegistry) -> None:
    give_name(handlers, "a")
    give_name(handlers, "b", "*.created", provider="generic", tenant="default")
    give_name(handlers, "c", endpoint=f"wh_{100:024x}", source="inbound")
    give_name(handlers, "never", source="published")
    await site.start(handlers)
    [event] = await site.accept()
    outcomes = {outcome.work: outcome for outcome in await site.ended(event)}
    assert outcomes.keys() == {"dispatch", "handler:a", "handler:b", "handler:c"}
    assert outcomes["dispatch"].status is OutcomeStatus.EXPANDED
    assert [outcomes[name].works for name in ("dispatch", "handler:a", "handler:b")] == [3, None, None]
    assert outcomes["handler:b"].result == b'"b"'
    assert await site.status(event) is EventStatus.SUCCEEDED


async def test_one_dead_piece_of_work_makes_the_event_dead(site: Site, handlers: HandlerRegistry) -> None:
    give_name(handlers, "works")

    @handlers.on("order.created", name="broken", max_retries=1)
    async def broken(event: Event[Any]) -> None:
        raise ValueError

    await site.start(handlers)
    [event] = await site.accept()
    await site.ended(event)
    assert await site.status(event) is EventStatus.DEAD
    [letter] = await site.letters()
    assert letter.work == "handler:broken"


async def test_what_came_without_authentication_reaches_only_handlers_of_its_endpoint(
    site: Site, handlers: HandlerRegistry
) -> None:
    give_name(handlers, "anybody")
    give_name(handlers, "endpoint", endpoint="open")
    await site.change_endpoint(slug="open")
    await site.start(handlers)
    assert await results(site, request=b'{"authenticated": false}') == {"handler:endpoint": b'"endpoint"'}
    assert await results(site, request=b'{"authenticated": true}') == {
        "handler:anybody": b'"anybody"',
        "handler:endpoint": b'"endpoint"',
    }


async def test_what_cannot_be_read_of_a_request_proves_nothing(site: Site, handlers: HandlerRegistry) -> None:
    give_name(handlers, "anybody")
    await site.start(handlers)
    assert await results(site, request=b"\xff") == {}


async def test_published_events_reach_handlers(site: Site, handlers: HandlerRegistry) -> None:
    give_name(handlers, "published", source="published")
    give_name(handlers, "inbound", source="inbound")
    await site.start(handlers)
    assert await results(site, endpoint=0) == {"handler:published": b'"published"'}


async def test_events_of_a_deleted_endpoint_still_end(site: Site, handlers: HandlerRegistry) -> None:
    give_name(handlers, "shop", provider="generic")
    await site.change_endpoint(deleted_at=(await site.database.now()))
    await site.start(handlers)
    assert await results(site) == {"handler:shop": b'"shop"'}


async def test_a_change_counts_for_the_very_next_event(site: Site, handlers: HandlerRegistry) -> None:
    give_name(handlers, "github", provider="github")
    await site.start(handlers)
    for provider, expected in (("generic", {}), ("github", {"handler:github": b'"github"'}), ("generic", {})):
        await site.change_endpoint(provider=provider)
        assert await results(site) == expected


async def test_the_work_of_a_paused_endpoint_waits(site: Site, handlers: HandlerRegistry) -> None:
    give_name(handlers, "shop")
    await site.add_endpoint(101)
    await site.change_endpoint(is_paused=True)
    await site.start(handlers)
    [waiting] = await site.accept()
    assert await results(site, endpoint=101) == {"handler:shop": b'"shop"'}

    async def is_parked() -> bool:
        return [task.state for task in await site.tasks()] == [TaskState.PARKED]

    await site.until(is_parked)
    assert await site.status(waiting) is EventStatus.PENDING
    await site.change_endpoint(is_paused=False)
    await site.database.queue.unpark(TaskKind.DISPATCH, 100)
    site.waker.wake()
    await site.ended(waiting)


async def test_an_event_of_a_workflow_is_a_run(site: Site) -> None:
    await site.add_workflow("flow", ECHO)
    await site.change_endpoint(workflow_id="flow", node_id="start")
    await site.start()
    [event] = await site.accept(body=b'{"id":7}')
    [outcome] = await site.ended(event)
    assert (outcome.work, outcome.status, outcome.works) == ("workflow:flow", OutcomeStatus.SUCCEEDED, 1)
    assert json.loads(outcome.result or b"") == {"id": 7}
    run_id = derived_id(event, "workflow:flow")
    run = await site.database.read(runs.get, run_id)
    assert run is not None
    assert (run.status, outcome.ref) == (RunStatus.SUCCEEDED, run_id), show_id(RUN, run_id)


async def test_a_workflow_and_handlers_get_the_same_event(site: Site, handlers: HandlerRegistry) -> None:
    await site.add_workflow("flow", ECHO)
    await site.change_endpoint(workflow_id="flow", node_id="start")
    give_name(handlers, "shop")
    await site.start(handlers)
    [event] = await site.accept(body=b'{"id":7}')
    outcomes = {outcome.work: outcome for outcome in await site.ended(event)}
    assert outcomes["dispatch"].works == 2
    assert json.loads(outcomes["workflow:flow"].result or b"") == {"id": 7}
    assert outcomes["handler:shop"].result == b'"shop"'


async def test_an_unpublished_workflow_skips_its_events_until_it_is_published(site: Site) -> None:
    await site.add_workflow("flow", ECHO, publish=False)
    await site.change_endpoint(workflow_id="flow", node_id="start")
    await site.start()
    [event] = await site.accept()
    [outcome] = await site.ended(event)
    assert (outcome.status, outcome.reason) == (OutcomeStatus.SKIPPED, "workflow_unpublished")
    await site.publish("flow")
    assert (await results(site)).keys() == {"workflow:flow"}


async def test_handlers_work_although_the_workflow_is_not_published(
    site: Site, handlers: HandlerRegistry
) -> None:
    await site.change_endpoint(workflow_id="gone", node_id="start")
    give_name(handlers, "shop")
    await site.start(handlers)
    [event] = await site.accept()
    outcomes = {outcome.work: outcome for outcome in await site.ended(event)}
    assert outcomes["workflow:gone"].status is OutcomeStatus.SKIPPED
    assert outcomes["workflow:gone"].reason == "workflow_unpublished"
    assert await site.status(event) is EventStatus.SUCCEEDED


async def test_work_of_another_app_waits_for_its_worker(site: Site, handlers: HandlerRegistry) -> None:
    give_name(handlers, "theirs")
    spec = encode_spec(HandlerSpec(name="theirs", pattern="order.*"))
    await site.database.write(announce_handlers, "other:hooks", {"theirs": spec})
    await site.start()
    [event] = await site.accept()

    async def is_expanded() -> bool:
        return [task.kind for task in await site.tasks()] == [TaskKind.CALL]

    await site.until(is_expanded)
    assert await site.status(event) is EventStatus.PENDING
    await site.start(handlers, app="other:hooks")
    outcomes = {outcome.work: outcome for outcome in await site.ended(event)}
    assert outcomes["dispatch"].works == 1
    assert outcomes["handler:theirs"].result == b'"theirs"'


async def test_a_retired_handler_gets_no_new_events(site: Site, handlers: HandlerRegistry) -> None:
    spec = encode_spec(HandlerSpec(name="old", pattern="order.*"))
    await site.database.write(announce_handlers, "shop.hooks:hooks", {"old": spec})
    give_name(handlers, "new")
    await site.start(handlers)
    assert await results(site) == {"handler:new": b'"new"'}


async def test_thousands_of_events_all_end_once(site: Site, handlers: HandlerRegistry) -> None:
    seen: list[str] = []

    @handlers.on("order.created")
    async def see(event: Event[Any]) -> None:
        seen.append(event.id)
        await asyncio.sleep(0)

    worker = await site.start(handlers)
    events = [event for _ in range(4) for event in await site.accept(count=500)]
    site.waker.wake()

    async def is_empty() -> bool:
        return not await site.tasks()

    await site.until(is_empty)
    assert len(seen) == len(set(seen)) == len(events)
    assert worker.active == 0
