from __future__ import annotations

from kanca.domain.task import TaskKind
from kanca.handlers.matching import HandlerSpec, Order
from kanca.storage.ports import Capabilities
from kanca.workers.capabilities import capabilities_of
from kanca.workers.targets import KnownHandler


def known(number: int, order: Order | None = None) -> KnownHandler:
    return KnownHandler(number, HandlerSpec(name=str(number), pattern="*", order=order))


def test_a_worker_calls_its_own_handlers_and_leaves_the_runs_of_others() -> None:
    announced = [known(1), known(2, "path"), known(3, "function")]
    assert capabilities_of({1, 3}, announced, frozenset({7})) == Capabilities(
        {TaskKind.CALL: frozenset({1, 3}), TaskKind.DELIVER: frozenset()}, {TaskKind.RUN: frozenset({7})}
    )


def test_a_worker_leaves_dispatches_to_those_who_can_tell_every_order() -> None:
    capabilities = capabilities_of({1}, [known(1), known(2, "function")], frozenset())
    assert capabilities.targets[TaskKind.DISPATCH] == frozenset()
