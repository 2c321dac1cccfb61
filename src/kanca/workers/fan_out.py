"""Fanning an event out: each subscription that wants it gets a delivery, or the reason why it gets none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from kanca.domain.delivery import work_of
from kanca.domain.event import StoredEvent
from kanca.domain.subscription import Subscription
from kanca.domain.task import DeadLetter, Delivery, NewTask, TaskKind, order_key_of
from kanca.errors import ExpressionFailed, InvalidExpression, KancaError
from kanca.expressions.filtering import Filter
from kanca.handlers.causes import cause
from kanca.outbound.message import fifo_key
from kanca.outbound.reports import DeliverDetail
from kanca.storage.subscriptions import ListedSubscription
from kanca.workers.delivering import why_skipped
from kanca.workers.delivery_records import dead, dead_letter, skipped

FILTER_FAILED = "filter_failed"
FIFO_KEY_FAILED = "fifo_key_failed"
BREATHE_AFTER = 100
"""Expressions that are evaluated before others have their turn: each takes some 40 µs."""
MOST_COMPILED = 10_000
COPIES_BYTES = 16 * 1024 * 1024
"""Of an event's body, that its dead letters keep: they are written all at once, however many filters fail."""


@dataclass(slots=True)
class FannedOut:
    """What becomes of an event for those who subscribed to it."""

    tasks: list[NewTask] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    """Those that have ended already."""
    letters: list[DeadLetter] = field(default_factory=list)
    copies_bytes: int = 0
    """Of the event's body, in the letters."""

    @property
    def works(self) -> int:
        """How many pieces of work these are."""
        return len(self.tasks) + len(self.deliveries)

    @property
    def only(self) -> NewTask | None:
        """The delivery that is all of it, and that waits for no other."""
        [task] = self.tasks if len(self.tasks) == self.works == 1 else [None]
        return task if task is not None and task.order_key is None else None


class FanOut:
    """Decides who gets an event. Expressions are compiled once, and each filter is asked once about an event."""

    def __init__(self, now: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self._now = now
        self._new_id = new_id
        self._conditions: dict[str, Filter] = {}

    async def of(self, event: StoredEvent, subscriptions: Sequence[Subscription]) -> FannedOut:
        """Fan an event out to those of the subscriptions whose filters let it through."""
        fanned = FannedOut()
        asked: dict[str, bool | KancaError] = {}
        evaluated = 0
        for subscription in subscriptions:
            before = evaluated
            source = subscription.config.filter
            if source is not None:
                if source not in asked:
                    asked[source] = self._ask(source, event)
                    evaluated += 1
                if isinstance(answer := asked[source], KancaError):
                    self._bury(fanned, event, subscription, FILTER_FAILED, answer)
                    continue
                if not answer:
                    continue
            evaluated += subscription.config.fifo_key is not None
            self._add(fanned, event, subscription)
            if evaluated // BREATHE_AFTER != before // BREATHE_AFTER:
                await asyncio.sleep(0)
        return fanned

    def wants(self, subscription: Subscription, event: StoredEvent) -> bool:
        """Whether a subscription's filter lets an event through. Raises ExpressionFailed, InvalidExpression."""
        source = subscription.config.filter
        return source is None or self._condition(source).lets_through(event)

    def task(self, event: StoredEvent, subscription: Subscription) -> NewTask:
        """The delivery to an active subscription. Raises ExpressionFailed, InvalidExpression for its key."""
        key = self._order_key(event, subscription)
        return NewTask(TaskKind.DELIVER, event.id, subscription.number, order_key=key)

    def _add(self, fanned: FannedOut, event: StoredEvent, subscription: Subscription) -> None:
        reason = why_skipped(ListedSubscription(subscription, ()))
        if reason is not None:
            fanned.deliveries.append(skipped(event.id, subscription.number, reason, self._now()))
            return
        try:
            fanned.tasks.append(self.task(event, subscription))
        except (ExpressionFailed, InvalidExpression) as error:
            self._bury(fanned, event, subscription, FIFO_KEY_FAILED, error)

    def _ask(self, source: str, event: StoredEvent) -> bool | KancaError:
        try:
            return self._condition(source).lets_through(event)
        except (ExpressionFailed, InvalidExpression) as error:
            return error

    def _condition(self, source: str) -> Filter:
        if source not in self._conditions:
            if len(self._conditions) >= MOST_COMPILED:
                self._conditions.clear()
            self._conditions[source] = Filter(source)
        return self._conditions[source]

    def _order_key(self, event: StoredEvent, subscription: Subscription) -> int | None:
        config = subscription.config
        if not config.fifo:
            return None
        text = ""
        if config.fifo_key is not None:
            text = fifo_key(event, config.fifo_key)
        # Handlers have order keys too, under numbers of their own.
        return order_key_of(f"{work_of(subscription.id)}\0{text}")

    def _bury(
        self, fanned: FannedOut, event: StoredEvent, subscription: Subscription, code: str, error: KancaError
    ) -> None:
        """A dead letter: whether, or when, the subscription gets the event cannot be said until that is right."""
        now = self._now()
        has_copy = fanned.copies_bytes + len(event.body) <= COPIES_BYTES
        fanned.copies_bytes += len(event.body) if has_copy else 0
        fanned.deliveries.append(dead(event.id, subscription.number, code, now))
        letter = dead_letter(
            event,
            subscription,
            identifier=self._new_id(),
            detail=DeliverDetail(is_unsure=code == FILTER_FAILED),
            code=code,
            why=cause(code, error.detail, **error.facts),
            failed_at=now,
        )
        fanned.letters.append(letter if has_copy else replace(letter, body=b""))
