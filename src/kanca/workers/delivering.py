"""One delivery under a claimed task: whether it is made, one attempt, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kanca.domain.delivery import (
    HOP_LIMIT,
    SUBSCRIPTION_DELETED,
    SUBSCRIPTION_DISABLED,
    SUBSCRIPTION_INACTIVE,
    SUBSCRIPTION_UNVERIFIED,
    delivery_id,
)
from kanca.domain.event import StoredEvent
from kanca.domain.ids import DELIVERY, EVENT, show_id
from kanca.domain.retry import GiveUp as OutOfAttempts
from kanca.domain.retry import RetryPolicy, after_failure
from kanca.domain.status import DeliveryStatus
from kanca.domain.subscription import DEFAULT_DELIVERY_POLICY, Subscription, SubscriptionStatus
from kanca.domain.subscription_config import retry_of
from kanca.domain.task import (
    Completion,
    Dead,
    DeadLetter,
    Done,
    Records,
    Retry,
    Task,
)
from kanca.errors import KancaError
from kanca.expressions.filtering import FILTERED
from kanca.handlers.causes import cause, cause_of
from kanca.outbound.message import envelope, is_too_far, transformed
from kanca.outbound.receivers import Ended
from kanca.outbound.reports import AttemptReport, detail_of
from kanca.outbound.sending import Sent
from kanca.outbound.verdict import Delivered, GiveUp, TryAgain, judge
from kanca.storage.subscriptions import ListedSubscription
from kanca.workers.delivery_records import (
    Job,
    attempts_before,
    dead,
    dead_letter,
    ended,
    failed_attempt,
    skipped,
)
from kanca.workers.health import Tell
from kanca.workers.settlement import INTERNAL_ERROR, RECORD_REFUSED, WORKER_LOST

SUBSCRIPTION_UNREADABLE = "subscription_unreadable"
CONFIG = "config"
BODIES_KEPT = 256
BODIES_KEPT_BYTES = 16 * 1024 * 1024
LEFT_ALONE = timedelta(seconds=5)
"""A receiver whose subscription is to be disabled: until everybody here knows that it is."""
DELIVERY_DEAD = "delivery.dead"
_NO_CONNECTION = frozenset({"dns_failed", "connect_failed", "tls_failed", "proxy_failed"})
_OF_THE_NETWORK = _NO_CONNECTION | {"timeout", "connection_closed", "bad_answer"}
_WHY_NOT = {
    SubscriptionStatus.INACTIVE: SUBSCRIPTION_INACTIVE,
    SubscriptionStatus.DISABLED: SUBSCRIPTION_DISABLED,
    SubscriptionStatus.UNVERIFIED: SUBSCRIPTION_UNVERIFIED,
}


class Sends(Protocol):
    """Makes one attempt. Never raises for what a receiver or the network does."""

    async def attempt(self, subscription: Subscription, event: StoredEvent, body: bytes) -> Sent:
        """Send a body to the subscription's receiver."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """What goes for all deliveries."""

    retries_any: bool
    """Every failure is tried again."""
    retry_after_max: timedelta
    max_hops: int


@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of an attempt."""

    completion: Completion
    ended: Ended
    code: str | None
    """Why it failed."""
    asked_delay: timedelta | None = None
    """For so long the receiver wants nothing more."""
    disables: str | None = None
    """Why the subscription is to be disabled."""


def why_skipped(listed: ListedSubscription) -> str | None:
    """Why nothing is sent to a subscription now; None: it is sent to."""
    return SUBSCRIPTION_DELETED if listed.is_deleted else _WHY_NOT.get(listed.subscription.status)


class Deliverer:
    """Makes deliveries, one attempt at a time."""

    def __init__(
        self,
        sends: Sends,
        rules: DeliveryRules,
        wants: Callable[[Subscription, StoredEvent], bool],
        now: Callable[[], datetime],
        new_id: Callable[[], UUID],
        chance: Callable[[], float],
    ) -> None:
        """``wants``: whether a subscription's filter lets an event through; may raise KancaError."""
        self._sends = sends
        self._rules = rules
        self._wants = wants
        self.now = now
        self._new_id = new_id
        self._chance = chance
        self._bodies: dict[UUID, bytes] = {}
        self._bodies_bytes = 0

    @staticmethod
    def is_off(listed: ListedSubscription) -> bool:
        """Whether nothing is sent to the subscription."""
        return why_skipped(listed) is not None

    def skip(
        self, task: Task, event: StoredEvent | None, listed: ListedSubscription | None
    ) -> Completion | None:
        """What is recorded of a delivery that is not made; None: it is."""
        if event is None or listed is None:
            return Completion(task, Done())  # retention has taken what it is about
        reason = why_skipped(listed)
        if reason is None and is_too_far(event, self._rules.max_hops):
            reason = HOP_LIMIT
        if reason is None:
            return None
        record = skipped(event.id, task.target, reason, self.now(), attempts_before(task))
        return Completion(task, Done(), Records(deliveries=(record,)))

    async def deliver(self, job: Job) -> Attempted:
        """Make one attempt. Never raises but CancelledError."""
        if CONFIG in job.listed.unreadable:
            return self._unreadable(job)
        try:
            if detail_of(job.task).is_unsure and not self._wants(job.subscription, job.event):
                record = skipped(job.event.id, job.subscription.number, FILTERED, self.now())
                return Attempted(
                    Completion(job.task, Done(), Records(deliveries=(record,))), Ended.CUT_SHORT, None
                )
            body = self._body(job)
        except KancaError as error:
            facts = {key: value for key, value in error.facts.items() if key != "code"}
            why = cause(error.code, error.detail, **facts)
            return Attempted(self._bury(job, error.code, why, None), Ended.CUT_SHORT, error.code)
        sent = await self._sends.attempt(job.subscription, job.event, body)
        config = retry_of(job.subscription.config)
        verdict = judge(
            sent.report,
            retries_any=self._rules.retries_any or config.retries_any,
            now=self.now(),
            retry_after_max=self._rules.retry_after_max,
        )
        match verdict:
            case Delivered():
                return Attempted(self._delivered(job, sent), Ended.SUCCEEDED, None)
            case TryAgain():
                return self._again(job, sent, verdict, config.policy)
            case GiveUp():
                completion = self._dead(job, sent)
                asked = None if verdict.disables is None else LEFT_ALONE
                return Attempted(completion, Ended.REFUSED, verdict.code, asked, verdict.disables)

    def fail(self, job: Job, error: BaseException) -> Completion:
        """What is recorded when our own mistake ended an attempt."""
        why = cause_of(error, INTERNAL_ERROR)
        return self._failed(job, INTERNAL_ERROR, why, retry_of(job.subscription.config).policy)

    def refuse(self, job: Job) -> Completion:
        """What is recorded in place of a completion that the database refused."""
        message = "an attempt was made, but the database does not take what there is to record of it"
        return self._bury(job, RECORD_REFUSED, cause(RECORD_REFUSED, message), None)

    def lose(self, task: Task, event: StoredEvent, listed: ListedSubscription) -> Completion:
        """What is recorded of a delivery that too many workers died of."""
        message = f"{task.crashes} workers died while they made this delivery, so it is not tried again"
        return self._bury(Job(task, event, listed, 0.0), WORKER_LOST, cause(WORKER_LOST, message), None)

    def _body(self, job: Job) -> bytes:
        """What is sent, the same in every attempt. Raises KancaError when it cannot be made."""
        source = job.subscription.config.transform
        if source is not None:
            return transformed(job.event, source)
        body = self._bodies.get(job.event.id)
        if body is None:
            body = envelope(job.event)
            self._keep(job.event.id, body)
        return body

    def _keep(self, event_id: UUID, body: bytes) -> None:
        if len(self._bodies) >= BODIES_KEPT or self._bodies_bytes + len(body) > BODIES_KEPT_BYTES:
            self._bodies.clear()
            self._bodies_bytes = 0
        self._bodies[event_id] = body
        self._bodies_bytes += len(body)

    def _delivered(self, job: Job, sent: Sent) -> Completion:
        record = ended(job, DeliveryStatus.DELIVERED, None, sent)
        return Completion(job.task, Done(), Records(deliveries=(record,)))

    def _again(self, job: Job, sent: Sent, verdict: TryAgain, policy: RetryPolicy) -> Attempted:
        completion = self._failed(
            job, verdict.code, _cause(sent.report), policy, sent, asked_delay=verdict.asked_delay
        )
        return Attempted(completion, ended_of(sent.report), verdict.code, verdict.asked_delay)

    def _unreadable(self, job: Job) -> Attempted:
        """Nothing is sent by a config that another version wrote: filter, headers and limits are not known."""
        why = cause(SUBSCRIPTION_UNREADABLE, "the subscription's config cannot be read by this version")
        completion = self._failed(job, SUBSCRIPTION_UNREADABLE, why, DEFAULT_DELIVERY_POLICY)
        return Attempted(completion, Ended.CUT_SHORT, SUBSCRIPTION_UNREADABLE)

    def _failed(
        self,
        job: Job,
        code: str,
        why: bytes,
        policy: RetryPolicy,
        sent: Sent | None = None,
        asked_delay: timedelta | None = None,
    ) -> Completion:
        """Another attempt later, or the dead letter. ``sent``: the attempt, where a request was made."""
        number = job.task.attempt + 1
        follows = after_failure(number, policy, self._chance())
        if isinstance(follows, OutOfAttempts):
            return self._bury(job, code, why, sent)
        # A receiver may ask for more time. If it asks for less, all attempts would be spent in one outage.
        delay = max(follows.delay, asked_delay or follows.delay)
        began, over = (sent.started_at, sent.finished_at) if sent else (now := self.now(), now)
        attempt = failed_attempt(job, self._new_id(), code, why, began, over)
        return Completion(job.task, Retry(delay, number), Records(attempts=(attempt,)))

    def _dead(self, job: Job, sent: Sent) -> Completion:
        return self._bury(job, sent.report.code or INTERNAL_ERROR, _cause(sent.report), sent)

    def _bury(self, job: Job, code: str, why: bytes, last: Sent | None) -> Completion:
        now = self.now()
        if last is None:
            made = attempts_before(job.task)
            record = dead(job.event.id, job.subscription.number, code, now, made)
        else:
            record = ended(job, DeliveryStatus.DEAD, code, last)
        letter = dead_letter(
            job.event,
            job.subscription,
            identifier=self._new_id(),
            detail=msgspec.structs.replace(detail_of(job.task), attempts=record.attempts),
            code=code,
            why=why,
            failed_at=now,
            order_key=job.task.order_key,
        )
        return Completion(job.task, Dead(), Records(deliveries=(record,), dead_letters=(letter,)))


def ended_of(report: AttemptReport) -> Ended:
    """What a failed attempt says of the receiver and its host."""
    if report.status is not None:
        return Ended.FAILED
    if report.code not in _OF_THE_NETWORK:
        return Ended.NOT_SENT
    return Ended.UNREACHABLE if report.code in _NO_CONNECTION or report.address is None else Ended.FAILED


def tell_of_dead(letter: DeadLetter, tell: Tell) -> None:
    """Tell people of a delivery that is dead."""
    subscription_id = letter.work.partition(":")[2]
    facts = {
        "subscription_id": subscription_id,
        "delivery_id": show_id(DELIVERY, delivery_id(letter.ref, letter.target)),
        "event_id": show_id(EVENT, letter.ref),
        "event_type": letter.event_type,
        "reason": letter.code,
    }
    tell(DELIVERY_DEAD, subscription_id, letter.tenant, facts, endpoint=letter.endpoint)


def _cause(report: AttemptReport) -> bytes:
    attempt: Any = msgspec.to_builtins(report)
    return cause(report.code or INTERNAL_ERROR, report.message or "", attempt=attempt)
