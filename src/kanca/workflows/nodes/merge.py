"""``Merge``: brings branches together."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from kanca.workflows.config import NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import StepContext


class MergeConfig(NodeConfig):
    """When to go on."""

    mode: Literal["all", "any"] = Field(
        "all",
        description="`all`: once everything that leads here has ended. `any`: as soon as one way has led here; what is"
        " still under way on the others is cancelled, and what waits there waits no more.",
    )


async def run(step: StepContext, _config: MergeConfig) -> Any:
    """Let through what came."""
    return step.input


def _joins_first(config: MergeConfig) -> bool:
    return config.mode == "any"


MERGE = NodeType(
    name="Merge",
    title="Merge",
    description="Brings branches together. With `all`, its output is an object with the output of each node that led"
    " here under its id (when only one did, that one's output); with `any`, the output of the first.",
    run=run,
    joins_first=_joins_first,
    model=MergeConfig,
    has_effects=False,
)
