"""What a worker can do: it claims nothing else. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta

from kanca.domain.task import Completion, HandBack, Retry, Task, TaskKind
from kanca.storage.ports import Capabilities
from kanca.workers.targets import KnownHandler

ELSEWHERE_AGAIN = timedelta(seconds=30)
"""Until a run is looked at again that somebody else has to do, and that those who cannot do not leave alone."""


def capabilities_of(
    own: Collection[int], announced: Iterable[KnownHandler], others_workflows: frozenset[int]
) -> Capabilities:
    """Calls of its ``own`` handlers (by number), runs but of ``others_workflows``, and dispatches.

    No dispatches while another app has a handler whose order key is computed by a function: only workers of that app
    can give its calls their order.
    """
    targets = {TaskKind.CALL: frozenset(own), TaskKind.DELIVER: frozenset[int]()}
    if any(known.spec.order == "function" and known.number not in own for known in announced):
        targets[TaskKind.DISPATCH] = frozenset()
    return Capabilities(targets, {TaskKind.RUN: others_workflows})


DELIVERIES = Capabilities({kind: frozenset() for kind in TaskKind if kind is not TaskKind.DELIVER})
"""Those of the part of a worker that only delivers."""


def leave_run(task: Task, others_workflows: Collection[int]) -> Completion:
    """Leave a claimed run to a worker that has its node types; no attempt is counted.

    At once when no worker without them claims it any more. A run of another version than the published one may be
    claimed by anybody: it is put off, so that it does not go from hand to hand.
    """
    if task.target in others_workflows:
        return Completion(task, HandBack())
    return Completion(task, Retry(ELSEWHERE_AGAIN, task.attempt))
