"""Test runs: nodes with effects are not run, something given stands for what they would have said. Pure."""

from __future__ import annotations

from typing import Any

from kanca.workflows.calling import Succeeded
from kanca.workflows.runs import TestPlan, pinned
from kanca.workflows.validation import PreparedNode
from kanca.workflows.values import write_json


def is_played(plan: TestPlan | None, node: PreparedNode) -> bool:
    """Whether a node is not run, for this is a test. ``plan``: None where it is none."""
    if plan is None or node.id in plan.live:
        return False
    return node.id in plan.outputs or node.type.has_effects or node.type.resume is not None


def played(plan: TestPlan, node: PreparedNode, value: Any, *, is_waiting_trigger: bool) -> Succeeded:
    """What stands for a node: what was given, else the sample of its type.

    ``value``: its input, which stands for it where runs start and where the output is the input.
    """
    is_start = node.type.is_trigger and not is_waiting_trigger
    otherwise = value if is_start or node.passes_input else node.type.sample
    port, output = pinned(plan, node.id, node.ports[0], otherwise)
    return Succeeded(port, output, write_json(output), None)
