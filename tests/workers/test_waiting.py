from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, select, update

from kanca.domain.endpoint import RESUME_ENDPOINT
from kanca.domain.ids import RUN, derived_id, show_id
from kanca.domain.status import EventStatus, RunStatus
from kanca.storage import owners, runs, waits, workflows
from kanca.storage.tables import early_events
from kanca.storage.tables import runs as runs_table
from kanca.storage.tables import workflows as workflow_rows
from kanca.workflows.values import read_json
from tests.planted import execute
from tests.workers.site import MOMENT, Site

START, WAIT = 100, 101
"""The endpoints: one starts runs, the other resumes them."""


def node(node_id: str, kind: str, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "config": config}


def edge(source: str, target: str, port: str = "out") -> dict[str, str]:
    return {"from": source, "to": target, "port": port}


KEYS = {"event_key": "event.data.order", "wait_key": "event.data.order"}


async def save(
    site: Site,
    nodes: Sequence[dict[str, Any]],
    edges: Sequence[dict[str, str]],
    workflow_id: str = "w",
    **more: Any,
) -> None:
    """Save and publish a workflow."""
    definition = {"id": workflow_id, "name": workflow_id, "nodes": nodes, "edges": edges, **more}
    types = {each["type"] for each in nodes}
    if await site.database.read(workflows.get, workflow_id) is None:
        await site.database.write(
            workflows.create, workflow_id, "default", workflow_id, json.dumps(definition), MOMENT, types
        )
    else:
        await site.database.write(
            workflows.save, workflow_id, workflow_id, json.dumps(definition), MOMENT, types
        )
    await site.publish(workflow_id)


async def two_endpoints(site: Site) -> None:
    await site.change_endpoint(START, workflow_id="w", node_id="start")
    await site.add_endpoint(WAIT, workflow_id="w", node_id="paid")


async def waiting_workflow(site: Site, **config: Any) -> None:
    """Start, wait, say what came."""
    await save(
        site,
        [
            node("start", "WebhookTrigger"),
            node("paid", "WebhookTrigger", **config),
            node("end", "Transform", value={"paid": "=input"}),
            node("late", "Transform", value="too late"),
        ],
        [edge("start", "paid"), edge("paid", "end"), edge("paid", "late", "timeout")],
    )
    await two_endpoints(site)


def run_of(event: UUID, workflow_id: str = "w") -> UUID:
    return derived_id(event, f"workflow:{workflow_id}")


async def run(site: Site, run_id: UUID) -> runs.Run | None:
    return await site.database.read(runs.get, run_id)


async def until(site: Site, run_id: UUID, *statuses: RunStatus) -> runs.Run:
    """Wait until the run is so."""

    async def is_so() -> bool:
        found = await run(site, run_id)
        return found is not None and found.status in statuses

    await site.until(is_so)
    found = await run(site, run_id)
    assert found is not None
    return found


async def early(site: Site) -> int:
    def count(connection: Connection) -> int:
        return len(connection.execute(select(early_events)).all())

    return await site.database.read(count)


async def test_an_event_resumes_the_run_that_waits_for_its_key(site: Site) -> None:
    await waiting_workflow(site, **KEYS)
    await site.start()
    (one,) = await site.accept(endpoint=START, data={"order": "A-1"})
    (two,) = await site.accept(endpoint=START, data={"order": 2})
    for each in (one, two):
        await until(site, run_of(each), RunStatus.WAITING)

    (paid,) = await site.accept(endpoint=WAIT, data={"order": 2, "amount": 7})

    ended = await until(site, run_of(two), RunStatus.SUCCEEDED)
    assert read_json(ended.output or b"") == {"paid": {"order": 2, "amount": 7}}
    (outcome,) = await site.ended(paid)
    assert (outcome.work, outcome.status, outcome.ref) == ("workflow:w", "succeeded", ended.id)
    assert (await run(site, run_of(one))).status is RunStatus.WAITING  # type: ignore[union-attr]
    assert await site.status(one) is EventStatus.PENDING
    assert await site.status(two) is EventStatus.SUCCEEDED


async def test_the_step_of_a_wait_says_since_when_it_was_waited(site: Site) -> None:
    await waiting_workflow(site, **KEYS)
    await site.start()
    (start,) = await site.accept(endpoint=START, data={"order": 1})
    await until(site, run_of(start), RunStatus.WAITING)
    (wait,) = (await site.database.read(waits.of_runs, [run_of(start)]))[run_of(start)]

    await site.accept(endpoint=WAIT, data={"order": 1})

    await until(site, run_of(start), RunStatus.SUCCEEDED)
    steps = {step.node_id: step for step in await site.database.read(runs.steps_of, run_of(start))}
    assert steps["paid"].started_at == wait.opened_at


async def test_an_event_that_comes_early_is_kept_for_its_run(site: Site) -> None:
    await waiting_workflow(site, **KEYS)
    await site.start()
    (paid,) = await site.accept(endpoint=WAIT, data={"order": "A-1"})

    async def is_kept() -> bool:
        return await early(site) == 1

    await site.until(is_kept)
    assert await site.status(paid) is EventStatus.PENDING
    (start,) = await site.accept(endpoint=START, data={"order": "A-1"})

    await until(site, run_of(start), RunStatus.SUCCEEDED)
    (outcome,) = await site.ended(paid)
    assert outcome.ref == run_of(start)
    assert await early(site) == 0
    assert await site.tasks() == []


async def test_an_event_that_several_runs_could_be_meant_by_is_a_dead_letter(site: Site) -> None:
    await waiting_workflow(site, **KEYS)
    await site.start()
    started = [(await site.accept(endpoint=START, data={"order": "same"}))[0] for _ in range(2)]
    for each in started:
        await until(site, run_of(each), RunStatus.WAITING)

    (paid,) = await site.accept(endpoint=WAIT, data={"order": "same"})

    await site.ended(paid)
    (letter,) = await site.letters()
    assert letter.code == "wait_ambiguous"
    assert len(read_json(letter.error)["run_ids"]) == 2


async def test_without_keys_the_only_unfinished_run_is_meant(site: Site) -> None:
    await waiting_workflow(site)
    await site.start()
    (start,) = await site.accept(endpoint=START, data={"order": "A-1"})
    await until(site, run_of(start), RunStatus.WAITING)

    await site.accept(endpoint=WAIT, data={"any": "thing"})

    await until(site, run_of(start), RunStatus.SUCCEEDED)


async def test_a_wait_that_nothing_comes_for_is_left_by_its_timeout(site: Site) -> None:
    await waiting_workflow(site, timeout=0.05, **KEYS)
    await site.start()

    (start,) = await site.accept(endpoint=START, data={"order": "A-1"})

    ended = await until(site, run_of(start), RunStatus.SUCCEEDED)
    assert read_json(ended.output or b"") == "too late"


async def test_a_run_that_waits_can_be_cancelled_and_takes_nothing_any_more(site: Site) -> None:
    await waiting_workflow(site, early_for=0, **KEYS)
    await site.start()
    (start,) = await site.accept(endpoint=START, data={"order": "A-1"})
    await until(site, run_of(start), RunStatus.WAITING)

    assert await site.database.write(waits.request_cancel, run_of(start), await site.database.now())
    site.waker.wake()

    await until(site, run_of(start), RunStatus.CANCELLED)
    (outcome,) = await site.ended(start)
    assert (outcome.status, outcome.reason) == ("skipped", "run_cancelled")
    (paid,) = await site.accept(endpoint=WAIT, data={"order": "A-1"})
    (outcome,) = await site.ended(paid)
    assert (outcome.status, outcome.reason) == ("skipped", "no_wait")


async def test_a_run_waits_for_a_run_of_another_workflow(site: Site) -> None:
    await save(
        site,
        [node("start", "WebhookTrigger"), node("double", "Transform", value="=event.data.n * 2")],
        [edge("start", "double")],
        workflow_id="child",
    )
    await save(
        site,
        [
            node("start", "WebhookTrigger"),
            node("sub", "SubWorkflow", workflow_id="child", data={"n": "=event.data.n"}),
            node("end", "Transform", value={"doubled": "=input"}),
        ],
        [edge("start", "sub"), edge("sub", "end")],
    )
    await site.change_endpoint(START, workflow_id="w", node_id="start")
    await site.start()

    (start,) = await site.accept(endpoint=START, data={"n": 21})

    ended = await until(site, run_of(start), RunStatus.SUCCEEDED, RunStatus.FAILED)
    assert read_json(ended.output or b"null") == {"doubled": 42}
    assert not await site.letters()


async def test_runs_take_turns_where_only_so_many_may_be_at_it(site: Site) -> None:
    await save(
        site,
        [
            node("start", "WebhookTrigger"),
            node("paid", "WebhookTrigger", **KEYS),
            node("end", "Transform", value=1),
        ],
        [edge("start", "paid"), edge("paid", "end")],
        settings={"concurrency": {"limit": 1}},
    )
    await two_endpoints(site)
    await site.start()
    (one,) = await site.accept(endpoint=START, data={"order": 1})
    await until(site, run_of(one), RunStatus.WAITING)
    (two,) = await site.accept(endpoint=START, data={"order": 2})

    async def is_queued() -> bool:
        found = await site.tasks()
        return sorted(task.state for task in found) == [2, 2]

    await site.until(is_queued)
    assert (await run(site, run_of(two))).status is RunStatus.PENDING  # type: ignore[union-attr]
    await site.accept(endpoint=WAIT, data={"order": 1})

    await until(site, run_of(one), RunStatus.SUCCEEDED)
    await until(site, run_of(two), RunStatus.WAITING)


async def test_a_loop_waits_for_each_of_its_items(site: Site) -> None:
    await save(
        site,
        [
            node("start", "WebhookTrigger"),
            node("each", "ForEach", items="event.data.orders", concurrency=2),
            node("paid", "WebhookTrigger", event_key="event.data.order", wait_key="input"),
            node("end", "Transform", value="=input"),
        ],
        [edge("start", "each"), edge("each", "paid", "item"), edge("each", "end")],
    )
    await two_endpoints(site)
    await site.start()
    (start,) = await site.accept(endpoint=START, data={"orders": ["a", "b", "c"]})

    for order in ("b", "c", "a"):
        await site.accept(endpoint=WAIT, data={"order": order, "n": order * 2})

    ended = await until(site, run_of(start), RunStatus.SUCCEEDED, RunStatus.FAILED)
    assert [each["n"] for each in read_json(ended.output or b"[]")] == ["aa", "bb", "cc"]


async def test_a_merge_of_any_cancels_what_else_is_waited_for(site: Site) -> None:
    await save(
        site,
        [
            node("start", "WebhookTrigger"),
            node("paid", "WebhookTrigger", **KEYS),
            node("other", "WebhookTrigger", event_key="event.data.other", wait_key="event.data.order"),
            node("merge", "Merge", mode="any"),
        ],
        [edge("start", "paid"), edge("start", "other"), edge("paid", "merge"), edge("other", "merge")],
    )
    await two_endpoints(site)
    await site.start()
    (start,) = await site.accept(endpoint=START, data={"order": "A"})
    await until(site, run_of(start), RunStatus.WAITING)

    await site.accept(endpoint=WAIT, data={"order": "A"})

    ended = await until(site, run_of(start), RunStatus.SUCCEEDED)
    assert read_json(ended.output or b"") == {"order": "A"}
    found = (await site.database.read(waits.of_runs, [ended.id]))[ended.id]
    assert {wait.node_id: wait.status.value for wait in found} == {"paid": "claimed", "other": "cancelled"}
    steps = await site.database.read(runs.steps_of, ended.id)
    assert {step.node_id: step.status.value for step in steps} == {
        "start": "succeeded",
        "paid": "succeeded",
        "other": "cancelled",
        "merge": "succeeded",
    }


@pytest.mark.parametrize("count", [40])
async def test_many_runs_wait_at_once_and_each_gets_its_event(site: Site, count: int) -> None:
    await waiting_workflow(site, **KEYS)
    await site.start()
    orders = list(range(count))
    for order in orders:
        await site.accept(endpoint=START, data={"order": order})
        await site.accept(endpoint=WAIT, data={"order": order, "n": order})

    async def is_over() -> bool:
        def finished(connection: Connection) -> int:
            return len(
                connection.execute(select(runs_table.c.id).where(runs_table.c.status == "succeeded")).all()
            )

        return await site.database.read(finished) == count

    await site.until(is_over)
    assert await early(site) == 0
    assert [task for task in await site.tasks() if task.kind == 3] == []


async def test_a_delay_holds_nobody_up(site: Site) -> None:
    await save(
        site,
        [
            node("start", "WebhookTrigger"),
            node("wait", "Delay", seconds=0.05),
            node("end", "Transform", value="=input"),
        ],
        [edge("start", "wait"), edge("wait", "end")],
    )
    await site.change_endpoint(START, workflow_id="w", node_id="start")
    await site.start()

    (start,) = await site.accept(endpoint=START, data={"a": 1})

    ended = await until(site, run_of(start), RunStatus.SUCCEEDED)
    assert read_json(ended.output or b"") == {"a": 1}
    assert ended.finished_at is not None
    assert ended.finished_at - ended.started_at >= timedelta(milliseconds=30)


async def republish(site: Site, **config: Any) -> None:
    """Save and publish another version, in which the trigger that waits has another config."""
    await save(
        site,
        [
            node("start", "WebhookTrigger"),
            node("paid", "WebhookTrigger", **config),
            node("end", "Transform", value={"paid": "=input"}),
        ],
        [edge("start", "paid"), edge("paid", "end")],
    )


OTHER_KEYS = {"event_key": "event.data.invoice", "wait_key": "event.data.invoice"}


async def test_a_run_of_an_old_version_is_resumed_by_the_key_that_it_waits_for(site: Site) -> None:
    await waiting_workflow(site, **KEYS)
    await site.start()
    (old,) = await site.accept(endpoint=START, data={"order": "A", "invoice": "1"})
    await until(site, run_of(old), RunStatus.WAITING)
    await republish(site, **OTHER_KEYS)
    (young,) = await site.accept(endpoint=START, data={"order": "B", "invoice": "2"})
    await until(site, run_of(young), RunStatus.WAITING)

    await site.accept(endpoint=WAIT, data={"order": "A"})
    await site.accept(endpoint=WAIT, data={"invoice": "2"})

    assert read_json((await until(site, run_of(old), RunStatus.SUCCEEDED)).output or b"") == {
        "paid": {"order": "A"}
    }
    assert read_json((await until(site, run_of(young), RunStatus.SUCCEEDED)).output or b"") == {
        "paid": {"invoice": "2"}
    }


async def test_an_event_that_came_early_is_looked_at_anew_when_a_version_is_published(site: Site) -> None:
    await waiting_workflow(site, **KEYS)
    await site.start()
    (paid,) = await site.accept(endpoint=WAIT, data={"order": "A", "invoice": "1"})

    async def is_kept() -> bool:
        return await early(site) == 1 and [task.state for task in await site.tasks()] == [2]

    await site.until(is_kept)
    await republish(site, **OTHER_KEYS)
    site.waker.wake()

    (start,) = await site.accept(endpoint=START, data={"order": "other", "invoice": "1"})

    await until(site, run_of(start), RunStatus.SUCCEEDED)
    (outcome,) = await site.ended(paid)
    assert outcome.ref == run_of(start)


async def test_an_event_for_a_wait_of_a_run_that_is_to_end_is_not_kept_for_it(site: Site) -> None:
    await waiting_workflow(site, **KEYS)
    await site.start()
    (start,) = await site.accept(endpoint=START, data={"order": "A"})
    waiting = await until(site, run_of(start), RunStatus.WAITING)
    await site.stop()
    assert await site.database.write(waits.request_cancel, waiting.id, await site.database.now())
    wait = (await site.database.read(waits.of_runs, [waiting.id]))[waiting.id][0]
    resume = {"run": show_id(RUN, waiting.id), "node": "paid", "wait": wait.id.hex}
    (late,) = await site.accept(
        endpoint=RESUME_ENDPOINT, request=json.dumps({"method": "POST", "resume": resume}).encode()
    )

    await site.start()

    (outcome,) = await site.ended(late)
    assert (outcome.status, outcome.reason) == ("skipped", "wait_cancelled")


async def test_an_answer_gets_the_label_of_the_run_that_it_is_for(site: Site) -> None:
    await waiting_workflow(site, **KEYS)
    await site.database.write(execute, update(workflow_rows).values(tenant="acme"))
    await site.start()
    (start,) = await site.accept(endpoint=START, data={"order": "A"})
    waiting = await until(site, run_of(start), RunStatus.WAITING)
    wait = (await site.database.read(waits.of_runs, [waiting.id]))[waiting.id][0]
    resume = {"run": show_id(RUN, waiting.id), "node": "paid", "wait": wait.id.hex}

    (answer,) = await site.accept(
        endpoint=RESUME_ENDPOINT, request=json.dumps({"method": "POST", "resume": resume}).encode()
    )

    await until(site, run_of(start), RunStatus.SUCCEEDED)
    # Erasing the tenant would leave it otherwise.
    assert await site.database.read(owners.of_event, answer) == "acme"
