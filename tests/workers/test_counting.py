"""What workers count of what they do."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kanca.domain.retry import RetryPolicy
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from kanca.telemetry.metrics import (
    ATTEMPTS,
    CLAIM_DURATION,
    CLAIMED,
    DELIVERIES,
    LEASES_LOST,
    RESCUED,
    RUNS_ENDED,
    WORKER_SLOTS,
)
from tests.workers.receiving import Receivers, delivered, published, subscribe
from tests.workers.site import Site

ONCE = RetryPolicy(max_attempts=1)


def reading(metric: Counter | Gauge | Histogram, sample: str, **labels: str) -> float:
    """What a metric says now."""
    registry = CollectorRegistry()
    registry.register(metric)
    return registry.get_sample_value(sample, labels) or 0


def attempts(kind: str, result: str) -> float:
    return reading(ATTEMPTS, "webhook_attempts_total", kind=kind, result=result)


async def test_attempts_are_counted_by_what_they_are_and_how_they_end(site: Site) -> None:
    handlers = HandlerRegistry()

    @handlers.on("order.created", name="confirm")
    async def confirm(event: Event[Any]) -> None: ...

    @handlers.on("order.failed", name="fail", retry=ONCE)
    async def fail(event: Event[Any]) -> None:
        raise RuntimeError

    before = attempts("call", "succeeded"), attempts("call", "dead"), attempts("dispatch", "succeeded")
    claimed = reading(CLAIMED, "webhook_tasks_claimed_total", kind="dispatch")
    looks = reading(CLAIM_DURATION, "webhook_claim_duration_seconds_count")
    await site.start(handlers)
    [done] = await site.accept(data={"id": 1})
    [dead] = await site.accept(data={"id": 2}, type="order.failed")
    [skipped] = await site.accept(data={"id": 3}, type="order.unknown")
    for event in (done, dead, skipped):
        await site.ended(event)
    await site.stop()

    assert attempts("call", "succeeded") == before[0] + 1
    assert attempts("call", "dead") == before[1] + 1
    assert attempts("dispatch", "succeeded") == before[2] + 1
    assert reading(CLAIMED, "webhook_tasks_claimed_total", kind="dispatch") == claimed + 3
    assert reading(CLAIM_DURATION, "webhook_claim_duration_seconds_count") > looks


async def test_runs_and_deliveries_are_counted_when_they_have_ended(site: Site) -> None:
    receivers = Receivers()
    before = (
        reading(RUNS_ENDED, "webhook_runs_ended_total", status="succeeded"),
        attempts("run", "succeeded"),
        reading(DELIVERIES, "webhook_deliveries_total", status="delivered"),
        attempts("deliver", "succeeded"),
        attempts("deliver", "retried"),
    )
    receivers.answers["shop"] = [503, 200]
    await subscribe(site, "shop", retry_config={"schedule": [0, 0]})
    await site.add_workflow("stop", {"id": "done", "type": "Stop", "config": {}})
    await site.change_endpoint(workflow_id="stop", node_id="start")
    await site.start(sending=receivers.means())
    [run] = await site.accept(data={"id": 1})
    await site.ended(run)
    [event] = await published(site)
    await delivered(site, event)
    await site.stop()

    after = (
        reading(RUNS_ENDED, "webhook_runs_ended_total", status="succeeded"),
        attempts("run", "succeeded"),
        reading(DELIVERIES, "webhook_deliveries_total", status="delivered"),
        attempts("deliver", "succeeded"),
        attempts("deliver", "retried"),
    )
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 1, 1, 1]


async def test_slots_that_are_free_are_those_that_no_work_is_in(site: Site) -> None:
    await site.start(concurrency=7)

    async def is_measured() -> bool:
        return reading(WORKER_SLOTS, "webhook_worker_slots", state="free") == 7

    await site.until(is_measured)
    assert reading(WORKER_SLOTS, "webhook_worker_slots", state="busy") == 0


async def test_tasks_of_a_dead_worker_and_its_lost_lease_are_counted(site: Site) -> None:
    returned = reading(RESCUED, "webhook_tasks_rescued_total", result="returned")
    lost = reading(LEASES_LOST, "webhook_leases_lost_total")
    worker = await site.start(HandlerRegistry())
    assert worker.number is not None
    await site.database.queue.expire(worker.number)
    await site.start(HandlerRegistry())

    async def is_counted() -> bool:
        return reading(LEASES_LOST, "webhook_leases_lost_total") > lost

    await site.until(is_counted)
    assert reading(RESCUED, "webhook_tasks_rescued_total", result="returned") >= returned
