from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bench import parked
from bench.site import Site as Bench
from bench.workflows import large, small
from kanca.domain.ids import derived_id
from kanca.domain.status import RunStatus
from kanca.storage import runs
from kanca.storage.ports import Database
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.validation import read_workflow
from kanca.workflows.values import read_json
from tests.workers.site import Site


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Site]:
    """Workers on the database of a benchmark."""
    site = Site(database_url, database, database.waker())
    yield site
    await site.stop(hurried=True)
    await site.waker.close()


def test_what_is_measured_are_workflows_of_two_and_of_six_nodes() -> None:
    measured = [small("small"), large("large", "http://127.0.0.1:1")]

    counts = [len(read_workflow(definition, built_in_registry()).nodes) for definition in measured]

    assert counts == [2, 6]


async def test_nothing_that_is_held_begins_before_it_is_let_go(site: Site) -> None:
    bench = Bench(site.database, site.waker)
    await bench.add_workflow(small("small"))
    endpoint = await bench.add_endpoint("small", "start")
    first = await bench.put("first", endpoint, [{"order": 1}])
    second = await bench.put("second", endpoint, [{"order": 2}])
    await site.start()

    await bench.let_go("second")

    assert await bench.ended(second) >= await bench.begun_at(second)
    assert await site.outcomes(first[0]) == ()


async def test_work_that_did_not_just_succeed_is_not_measured(site: Site) -> None:
    bench = Bench(site.database, site.waker)
    nobodys = await bench.put("lot", await bench.add_endpoint(), [{"order": 1}])
    await site.start()
    await bench.let_go("lot")

    with pytest.raises(SystemExit, match="skipped"):
        await bench.ended(nobodys)


async def test_parked_runs_that_are_copies_go_on_as_the_one_does_that_they_are_copies_of(site: Site) -> None:
    bench = Bench(site.database, site.waker)
    await bench.add_workflow(parked.definition())
    start = await bench.add_endpoint(parked.WORKFLOW, parked.START)
    paid = await bench.add_endpoint(parked.WORKFLOW, parked.WAIT)
    await bench.put("stencil", start, [{"order": parked.ORDER}])
    await site.start()
    await bench.let_go("stencil")
    await bench.until(parked.is_parked)
    await site.stop()

    started_by = await parked.multiply(bench, 3)
    await bench.put("paid", paid, [{"order": parked.order(1), "amount": 7}])
    await site.start()
    await bench.let_go("paid")

    await bench.ended(started_by[1:2])
    found = [
        await site.database.read(runs.get, derived_id(event, f"workflow:{parked.WORKFLOW}"))
        for event in started_by
    ]
    assert [run.status for run in found if run] == [RunStatus.WAITING, RunStatus.SUCCEEDED, RunStatus.WAITING]
    assert found[1] is not None
    assert read_json(found[1].output or b"") == {"paid": {"order": parked.order(1), "amount": 7}}
