"""How far a run goes back when a person has it done again from a node. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from kanca.domain.status import StepStatus
from kanca.domain.task import Step
from kanca.domain.wait import Wait, WaitAddress
from kanca.errors import InvalidInput
from kanca.workflows.validation import Workflow

_UNDECIDED = frozenset({StepStatus.SKIPPED, StepStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class WayBack:
    """What becomes of a run that goes back."""

    replaced: tuple[UUID, ...]
    """The steps that count no longer."""
    generation: int
    """Of what is done from then on: larger than all before it."""


def way_back(workflow: Workflow, steps: Sequence[Step], waits: Sequence[Wait], node_id: str) -> WayBack:
    """What becomes of a run that goes back before a node: before the whole loop, for one in the body of a loop.

    Raises InvalidInput when the workflow has no such node.
    """
    if node_id not in workflow.nodes:
        raise InvalidInput(f"The run's version of the workflow has no node {node_id[:64]!a}.")
    first = next((loop for loop, body in workflow.loops.items() if node_id in body.order), node_id)
    gone = workflow.graph.reachable([first])
    # What other nodes were spared by a decision that counts no longer is decided again.
    has_decided = any(workflow.nodes[each].type.ends_run or workflow.nodes[each].joins_first for each in gone)
    in_loops = {each for body in workflow.loops.values() for each in body.order}

    def is_void(step: Step) -> bool:
        if step.node_id in gone or step.status in {StepStatus.DEAD, StepStatus.REPLACED}:
            return True
        return has_decided and step.status in _UNDECIDED and step.node_id not in in_loops

    void = [step for step in steps if is_void(step)]
    replaced = tuple(step.id for step in void if step.status is not StepStatus.REPLACED)
    return WayBack(replaced, next_generation(len(void), waits))


def next_generation(void_steps: int, waits: Sequence[Wait]) -> int:
    """A generation beyond all that a run has had, with so many replaced steps.

    Each of them left a replaced step or a wait behind, or else nothing that another one could be taken for.
    """
    return 1 + void_steps + len(waits)


def generation_of(wait: Wait, most: int) -> int | None:
    """The generation that a wait is of, where a run has had at most so many."""
    for generation in range(most + 1):
        if WaitAddress(wait.run_id, wait.node_id, wait.iteration, generation).wait_id == wait.id:
            return generation
    return None


def start_in(workflow: Workflow, steps: Sequence[Step]) -> str | None:
    """The node at which a run started; None when it has not come so far, or there is only one that it can be."""
    if len(workflow.starts) == 1:
        return None
    return next((step.node_id for step in steps if step.node_id in workflow.starts), None)
