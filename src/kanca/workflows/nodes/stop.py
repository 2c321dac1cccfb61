"""``Stop``: ends the run, which has succeeded."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from kanca.workflows.config import Dynamic, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import StepContext


class StopConfig(NodeConfig):
    """What the run has come to."""

    output: Dynamic | None = Field(
        None, description="The run's output; texts that start with `=` are expressions. Unset: the input."
    )


async def run(step: StepContext, config: StopConfig) -> Any:
    """End the run well."""
    return step.input if config.output is None else config.output.evaluate(step.scope)


STOP = NodeType(
    name="Stop",
    title="Stop",
    description="Ends the run: it has succeeded. What is still under way on other branches is cancelled.",
    run=run,
    model=StopConfig,
    has_effects=False,
    ends_run=True,
)
