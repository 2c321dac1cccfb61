"""``Transform``: makes a value out of other values."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from kanca.workflows.config import Dynamic, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import StepContext


class TransformConfig(NodeConfig):
    """What to make."""

    value: Dynamic = Field(
        description="The output: any JSON value, in which texts that start with `=` are expressions, at any depth."
    )


async def run(step: StepContext, config: TransformConfig) -> Any:
    """Evaluate the value."""
    return config.value.evaluate(step.scope)


TRANSFORM = NodeType(
    name="Transform",
    title="Transform",
    description="Makes a new value from the event, the input and the outputs of earlier nodes.",
    run=run,
    model=TransformConfig,
    has_effects=False,
)
