"""``Branch``: goes one of two ways."""

from __future__ import annotations

from pydantic import Field

from kanca.workflows.config import Cel, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import Left, StepContext


class BranchConfig(NodeConfig):
    """What to decide."""

    condition: Cel = Field(description="An expression that is true or false. Anything else fails the node.")


async def run(step: StepContext, config: BranchConfig) -> Left:
    """Decide, and let the input through."""
    is_true = config.condition.expression.evaluate_bool(step.scope)
    return step.leave("true" if is_true else "false", step.input)


BRANCH = NodeType(
    name="Branch",
    title="Branch",
    description="Goes on at its port `true` or `false`, as the condition says. Its output is its input.",
    run=run,
    model=BranchConfig,
    ports=("true", "false"),
    has_effects=False,
    passes_input=True,
)
