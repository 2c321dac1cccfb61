"""What one attempt says of its receiver, and what is recorded of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kanca.domain.event import StoredEvent
from kanca.domain.subscription import Subscription
from kanca.domain.task import Dead, Retry, Task, TaskKind
from kanca.errors import EgressFailed, EgressTimeout, InvalidSecret
from kanca.outbound.receivers import Ended
from kanca.outbound.reports import AttemptReport
from kanca.outbound.sending import Sent
from kanca.outbound.verdict import fault_of_error
from kanca.storage.subscriptions import ListedSubscription
from kanca.workers import delivering
from kanca.workers.delivering import Deliverer, DeliveryRules, ended_of
from kanca.workers.delivery_records import Job
from tests.outbound.samples import NOW, a_subscription, an_event
from tests.queueing import new_id

RULES = DeliveryRules(retries_any=False, retry_after_max=timedelta(days=1), max_hops=10)


class Scripted:
    """Gives one report after the other."""

    def __init__(self, *reports: AttemptReport) -> None:
        self.reports = list(reports)
        self.bodies: list[bytes] = []

    async def attempt(self, subscription: Subscription, event: StoredEvent, body: bytes) -> Sent:
        self.bodies.append(body)
        return Sent(self.reports.pop(0) if self.reports else answered(200), NOW, NOW, None)


def answered(status: int) -> AttemptReport:
    code = None if status < 300 else "receiver_error"
    return AttemptReport("https://shop.example.com", status, address="203.0.113.1", code=code)


def a_deliverer(sends: Scripted, **more: Any) -> Deliverer:
    return Deliverer(sends, RULES, more.get("wants", lambda *_: True), lambda: NOW, new_id, lambda: 0.0)


def a_job(attempt: int = 0, event: StoredEvent | None = None, **config: Any) -> Job:
    event = event or an_event()
    subscription = a_subscription(config=config)
    task = Task(1, TaskKind.DELIVER, event.id, subscription.number, None, None, attempt, 0, 1)
    return Job(task, event, ListedSubscription(subscription, ()), 0.0)


@pytest.mark.parametrize(
    ("report", "ended"),
    [
        (answered(500), Ended.FAILED),
        (AttemptReport("u", code="dns_failed"), Ended.UNREACHABLE),
        (AttemptReport("u", code="connect_failed"), Ended.UNREACHABLE),
        (AttemptReport("u", code="tls_failed", address="203.0.113.1"), Ended.UNREACHABLE),
        (AttemptReport("u", code="timeout"), Ended.UNREACHABLE),
        (AttemptReport("u", code="timeout", address="203.0.113.1"), Ended.FAILED),
        (AttemptReport("u", code="connection_closed", address="203.0.113.1"), Ended.FAILED),
        (AttemptReport("u", code="invalid_secret"), Ended.NOT_SENT),
        (AttemptReport("u", code="credential_not_found"), Ended.NOT_SENT),
        (AttemptReport("u", code="address_refused", address="10.0.0.1"), Ended.NOT_SENT),
    ],
)
def test_a_host_is_unreachable_only_when_there_was_no_connection_to_it(
    report: AttemptReport, ended: Ended
) -> None:
    assert ended_of(report) is ended


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (InvalidSecret("The subscription has no secret that is still live."), Ended.NOT_SENT),
        (EgressFailed("no", cause="connect", host="x", address=None, duration_ms=1.0), Ended.UNREACHABLE),
        (EgressTimeout("slow", phase="dns", host="x", address=None, duration_ms=1.0), Ended.UNREACHABLE),
    ],
)
def test_so_it_is_with_the_errors_that_there_are(error: Any, ended: Ended) -> None:
    code, message = fault_of_error(error)
    assert ended_of(AttemptReport("u", code=code, message=message)) is ended


async def test_a_transform_that_fails_says_nothing_of_the_receiver() -> None:
    attempted = await a_deliverer(Scripted()).deliver(a_job(transform="event.data.none.at.all"))
    assert (attempted.ended, attempted.code) == (Ended.CUT_SHORT, "transform_failed")
    assert isinstance(attempted.completion.disposition, Dead)


async def test_our_own_mistake_costs_one_of_the_attempts_that_the_subscription_has() -> None:
    deliverer = a_deliverer(Scripted())
    eighth = deliverer.fail(a_job(attempt=7), ZeroDivisionError())
    assert isinstance(eighth.disposition, Retry)
    assert eighth.disposition.attempt == 8
    assert eighth.disposition.delay >= timedelta(hours=1)
    assert isinstance(deliverer.fail(a_job(attempt=9), ZeroDivisionError()).disposition, Dead)


async def test_the_body_is_the_same_in_every_attempt_and_not_all_bodies_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivering, "BODIES_KEPT_BYTES", 10_000)
    sends = Scripted()
    deliverer = a_deliverer(sends)
    events = [an_event(data={"text": "x" * 3_000}) for _ in range(20)]
    for event in [*events, *events]:
        await deliverer.deliver(a_job(event=event))
    assert sends.bodies[:20] == sends.bodies[20:]
    kept = deliverer._bodies.values()  # noqa: SLF001 - what is held in memory shows nowhere else
    assert sum(map(len, kept)) <= 10_000


async def test_attempts_are_numbered_on_after_a_resend() -> None:
    job = a_job(attempt=2)
    job.task = replace(job.task, detail=b'{"attempts":10}')
    attempted = await a_deliverer(Scripted(answered(500))).deliver(job)
    [attempt] = attempted.completion.records.attempts
    assert attempt.attempt_number == 13
    assert isinstance(attempted.completion.disposition, Retry)
    assert attempted.completion.disposition.attempt == 3
    ended = await a_deliverer(Scripted()).deliver(job)
    assert [each.attempts for each in ended.completion.records.deliveries] == [13]
