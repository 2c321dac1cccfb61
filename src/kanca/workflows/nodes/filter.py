"""``Filter``: lets through what is wanted."""

from __future__ import annotations

from pydantic import Field

from kanca.domain.workflow import OUT
from kanca.workflows.config import Cel, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import Left, StepContext


class FilterConfig(NodeConfig):
    """What is wanted."""

    condition: Cel = Field(description="An expression that is true or false. Anything else fails the node.")


async def run(step: StepContext, config: FilterConfig) -> Left:
    """Decide, and let the input through."""
    is_wanted = config.condition.expression.evaluate_bool(step.scope)
    return step.leave(OUT if is_wanted else "rejected", step.input)


FILTER = NodeType(
    name="Filter",
    title="Filter",
    description="Goes on at `out` where the condition is true. Where it is not, it goes on at `rejected`, if an edge"
    " leads on from there; else this way ends. Its output is its input.",
    run=run,
    model=FilterConfig,
    ports=(OUT, "rejected"),
    has_effects=False,
    passes_input=True,
)
