"""What a worker can do: it claims nothing else. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from kanca.domain.task import TaskKind
from kanca.storage.ports import Capabilities
from kanca.workers.targets import KnownHandler


def capabilities_of(own: Collection[int], announced: Iterable[KnownHandler]) -> Capabilities:
    """Calls of its ``own`` handlers (by number), all runs, and dispatches.

    No dispatches while another app has a handler whose order key is computed by a function: only workers of that app
    can give its calls their order.
    """
    targets = {TaskKind.CALL: frozenset(own)}
    if any(known.spec.order == "function" and known.number not in own for known in announced):
        targets[TaskKind.DISPATCH] = frozenset()
    return Capabilities(targets)
