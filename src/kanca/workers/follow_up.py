"""What follows when a completion was written: it is counted and told of, and whoever waits for what it says goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kanca.domain.event import StoredEvent
from kanca.domain.task import Completion, Keep, TaskKind, TaskState
from kanca.queue.duties import Duties
from kanca.queue.scheduler import Scheduler
from kanca.storage.ports import Waker
from kanca.telemetry.lines import lines
from kanca.workers.attempt_lines import write_attempts
from kanca.workers.delivering import tell_of_dead
from kanca.workers.delivery_shift import DeliveryShift
from kanca.workers.health import Tell
from kanca.workers.subscriptions import SubscriptionBook
from kanca.workers.tally import Tally
from kanca.workers.turns import TurnGiver
from kanca.workers.worker_duties import SCHEDULER, TURNS


class FollowUp:
    """Is told of every completion that a worker's shifts have written."""

    def __init__(
        self,
        tally: Tally,
        tell: Tell,
        book: SubscriptionBook,
        waker: Waker,
        duties: Duties,
        scheduler: Scheduler,
        turns: TurnGiver,
        worker: Callable[[], int | None],
    ) -> None:
        """``tell`` tells people of trouble; ``worker`` gives the worker's number, while it has a lease."""
        self._tally = tally
        self._tell = tell
        self._book = book
        self._waker = waker
        self._duties = duties
        self._scheduler = scheduler
        self._turns = turns
        self._worker = worker
        self.deliveries: DeliveryShift | None = None
        """The shift that delivers now."""

    def written(self, event: StoredEvent | None, completion: Completion) -> None:
        """Do what follows. ``event``: the one that it is about."""
        self._tally.recorded(event, completion)
        write_attempts(lines, self._worker(), event, completion, self._name_of)
        for letter in completion.records.dead_letters:
            if letter.kind is TaskKind.DELIVER:
                tell_of_dead(letter, self._tell)
        if self._scheduler.concerns(completion):
            self._duties.hurry(SCHEDULER)
        if self._turns.concerns(completion):
            self._duties.hurry(TURNS)
        if event is not None and _is_delivery_now(completion):
            self._go_on_with(event, completion)
        elif any(task.state is TaskState.READY for task in completion.records.tasks):
            self._waker.wake()

    def _name_of(self, subscription: int) -> str | None:
        listed = self._book.get(subscription)
        return listed.subscription.id if listed else None

    def _go_on_with(self, event: StoredEvent, completion: Completion) -> None:
        """Make the delivery that a dispatch has become, or tell those who will."""
        about = completion.becomes
        if about is None or not isinstance(completion.disposition, Keep) or self.deliveries is None:
            self._waker.wake()
            return
        task = replace(
            completion.task, kind=about.kind, ref=about.ref, target=about.target, detail=about.detail
        )
        self.deliveries.take(task, event)


def _is_delivery_now(completion: Completion) -> bool:
    """Whether a dispatch has become its event's only delivery."""
    return completion.becomes is not None and completion.becomes.kind is TaskKind.DELIVER
