"""Workers with and without an app's node types on one database."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from kanca.domain.status import OutcomeStatus
from kanca.domain.task import HandBack, Retry, Task, TaskKind, TaskState
from kanca.handlers.registry import HandlerRegistry
from kanca.storage import workflows
from kanca.workers.capabilities import capabilities_of, leave_run
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.registry import NodeRegistry
from tests.factories import ids
from tests.workers.site import MOMENT, Site


@pytest.fixture
def nodes() -> NodeRegistry:
    """What the workers of the shop have."""
    nodes = built_in_registry()

    @nodes.node("Bill")
    async def bill(step: Any, config: Any) -> Any:
        return {"billed": step.input["order_id"]}

    return nodes


async def with_bills(site: Site) -> None:
    await site.add_workflow("bills", {"id": "bill", "type": "Bill", "config": {}})
    await site.change_endpoint(workflow_id="bills")


async def is_waiting(site: Site) -> bool:
    """Whether a run waits for a worker, and nothing else is open."""
    return [(task.kind, task.state) for task in await site.tasks()] == [(TaskKind.RUN, TaskState.READY)]


async def test_a_run_waits_for_a_worker_that_has_its_node_types(site: Site, nodes: NodeRegistry) -> None:
    await with_bills(site)
    await site.start(app="none")
    [event] = await site.accept(data={"order_id": "ORD-1"})
    await site.until(lambda: is_waiting(site))
    [dispatch] = await site.outcomes(event)
    assert (dispatch.work, dispatch.status, dispatch.works) == ("dispatch", OutcomeStatus.EXPANDED, 1)

    await site.start(nodes=nodes)

    outcomes = {outcome.work: outcome for outcome in await site.ended(event)}
    assert outcomes["workflow:bills"].status is OutcomeStatus.SUCCEEDED
    assert json.loads(outcomes["workflow:bills"].result or b"") == {"billed": "ORD-1"}
    assert await site.attempts(event) == ()
    assert await site.letters() == ()


async def test_a_worker_that_has_waited_for_long_learns_of_it_by_the_first_run(
    site: Site, nodes: NodeRegistry
) -> None:
    handlers = HandlerRegistry()
    handlers.on("order.created", name="seen")(lambda event: None)
    await site.start(handlers, app="other")
    await with_bills(site)
    events = await site.accept(count=20, data={"order_id": "ORD-1"})
    await site.start(nodes=nodes)
    for event in events:
        statuses = {outcome.work: outcome.status for outcome in await site.ended(event)}
        assert statuses["workflow:bills"] is OutcomeStatus.SUCCEEDED
    assert await site.letters() == ()


async def test_a_run_of_an_older_version_is_put_off_by_those_who_cannot_do_it(
    site: Site, nodes: NodeRegistry
) -> None:
    await with_bills(site)
    await site.start(app="none")
    [event] = await site.accept(data={"order_id": "ORD-1"})
    await site.until(lambda: is_waiting(site))

    plain = {"id": "bills", "nodes": [{"id": "start", "type": "WebhookTrigger"}]}
    await site.database.write(workflows.save, "bills", "bills", json.dumps(plain), MOMENT, ["WebhookTrigger"])
    await site.publish("bills")
    # Only this one tells the worker of the new version, for which it is enough.
    [newer] = await site.accept(data={"order_id": "ORD-2"})
    [outcome] = await site.ended(newer)
    assert (outcome.work, outcome.status) == ("workflow:bills", OutcomeStatus.SUCCEEDED)

    async def is_put_off() -> bool:
        return [task.state for task in await site.tasks()] == [TaskState.SCHEDULED]

    await site.until(is_put_off)
    [task] = await site.tasks()
    assert (task.kind, task.attempt) == (TaskKind.RUN, 0)
    assert await site.attempts(event) == ()
    assert await site.letters() == ()


def test_a_run_that_others_claim_is_left_at_once_and_any_other_one_for_a_while() -> None:
    task = Task(1, TaskKind.RUN, ids.new(), 7, None, None, attempt=2, crashes=0, fence=1)
    assert isinstance(leave_run(task, {7}).disposition, HandBack)
    put_off = leave_run(task, {8}).disposition
    assert isinstance(put_off, Retry)
    assert (put_off.delay > timedelta(0), put_off.attempt) == (True, 2)


def test_a_worker_claims_no_runs_of_workflows_that_it_cannot_run() -> None:
    assert capabilities_of([], [], frozenset({7})).others == {TaskKind.RUN: frozenset({7})}
