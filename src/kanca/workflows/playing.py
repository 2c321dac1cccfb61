"""Test runs: nodes with effects are not run, something given stands for what they would have said. Pure."""

from __future__ import annotations

from typing import Any

from kanca.workflows.calling import Succeeded
from kanca.workflows.runs import TestPlan
from kanca.workflows.validation import PreparedNode
from kanca.workflows.values import write_json


def is_played(plan: TestPlan | None, node: PreparedNode) -> bool:
    """Whether a node is not run, for this is a test. ``plan``: None where it is none."""
    if plan is None or node.id in plan.live:
        return False
    return node.id in plan.outputs or node.type.has_effects or node.type.resume is not None


def played(plan: TestPlan, node: PreparedNode, value: Any, *, is_waiting_trigger: bool) -> Succeeded:
    """What stands for a node: what was given, else the sample of its type (``value``, its input, where runs start)."""
    is_start = node.type.is_trigger and not is_waiting_trigger
    output = plan.outputs.get(node.id, value if is_start else node.type.sample)
    return Succeeded(node.ports[0], output, write_json(output), None)
