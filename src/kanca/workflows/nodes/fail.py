"""``Fail``: ends the run, which has failed."""

from __future__ import annotations

from typing import NoReturn

from pydantic import Field

from kanca.workflows.config import DynamicText, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import StepContext, StepFailed


class FailConfig(NodeConfig):
    """What has gone wrong."""

    message: DynamicText = Field(description="What people are told; an expression when it starts with `=`.")
    code: str = Field("failed", pattern=r"^[a-z0-9_]{1,64}$", description="What programs are told.")


async def run(step: StepContext, config: FailConfig) -> NoReturn:
    """End the run badly."""
    raise StepFailed(config.code, config.message.text(step.scope), is_final=True)


FAIL = NodeType(
    name="Fail",
    title="Fail",
    description="Ends the run: it has failed, with this message, and is a dead letter.",
    run=run,
    model=FailConfig,
    has_effects=False,
)
