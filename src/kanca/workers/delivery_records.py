"""What is written of deliveries: those that have ended, attempts that failed, dead letters. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

from kanca.domain.delivery import delivery_id, work_of
from kanca.domain.event import StoredEvent
from kanca.domain.status import DeliveryStatus
from kanca.domain.subscription import Subscription
from kanca.domain.task import Attempt, DeadLetter, Delivery, Task, TaskKind
from kanca.outbound.reports import DeliverDetail, detail_of
from kanca.outbound.sending import Sent
from kanca.storage.subscriptions import ListedSubscription


@dataclass(slots=True, eq=False)
class Job:
    """A delivery that a worker has in hand."""

    task: Task
    event: StoredEvent
    listed: ListedSubscription
    since_s: float
    """When it came."""

    @property
    def subscription(self) -> Subscription:
        """Where it goes."""
        return self.listed.subscription


def attempts_before(task: Task) -> int:
    """Attempts of a delivery that ended before the one that its task is about now."""
    return detail_of(task).attempts + task.attempt


def skipped(event_id: UUID, subscription: int, reason: str, now: datetime, attempts: int = 0) -> Delivery:
    """The record of a delivery that is not made."""
    return Delivery(
        event_id, subscription, DeliveryStatus.SKIPPED, attempts, reason, None, None, finished_at=now
    )


def dead(event_id: UUID, subscription: int, code: str, now: datetime, attempts: int = 0) -> Delivery:
    """The record of a delivery that is dead without a last attempt, whether or not it was ever begun."""
    return Delivery(event_id, subscription, DeliveryStatus.DEAD, attempts, code, None, None, finished_at=now)


def ended(job: Job, status: DeliveryStatus, reason: str | None, sent: Sent) -> Delivery:
    """The record of a delivery that ended with an attempt."""
    return Delivery(
        event_id=job.event.id,
        subscription=job.subscription.number,
        status=status,
        attempts=attempts_before(job.task) + 1,
        reason=reason,
        response_status=sent.report.status,
        started_at=sent.started_at,
        finished_at=sent.finished_at,
        attempt=msgspec.json.encode(sent.report),
    )


def failed_attempt(
    job: Job, identifier: UUID, code: str, why: bytes, started_at: datetime, finished_at: datetime
) -> Attempt:
    """An attempt that another one follows."""
    return Attempt(
        id=identifier,
        event_id=job.event.id,
        work=work_of(job.subscription.id),
        call_id=delivery_id(job.event.id, job.subscription.number),
        attempt_number=attempts_before(job.task) + 1,
        started_at=started_at,
        finished_at=finished_at,
        code=code,
        error=why,
    )


def dead_letter(
    event: StoredEvent,
    subscription: Subscription,
    *,
    identifier: UUID,
    detail: DeliverDetail,
    code: str,
    why: bytes,
    failed_at: datetime,
    order_key: int | None = None,
) -> DeadLetter:
    """The dead letter of a delivery. ``detail``: what its retry is to know."""
    return DeadLetter(
        id=identifier,
        kind=TaskKind.DELIVER,
        ref=event.id,
        target=subscription.number,
        detail=detail.encode(),
        order_key=order_key,
        event_id=event.id,
        work=work_of(subscription.id),
        endpoint=event.endpoint,
        tenant=event.tenant,
        event_type=event.type,
        attempts=detail.attempts,
        code=code,
        error=why,
        failed_at=failed_at,
        body=event.body,
    )
