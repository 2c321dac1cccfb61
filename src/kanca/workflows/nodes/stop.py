"""``Stop`` and ``Fail``: end the run."""

from __future__ import annotations

from typing import Any, NoReturn

from pydantic import Field

from kanca.workflows.config import Dynamic, DynamicText, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import StepContext, StepFailed


class StopConfig(NodeConfig):
    """What the run has come to."""

    output: Dynamic | None = Field(
        None, description="The run's output; texts that start with `=` are expressions. Unset: the input."
    )


class FailConfig(NodeConfig):
    """What has gone wrong."""

    message: DynamicText = Field(description="What people are told; an expression when it starts with `=`.")
    code: str = Field("failed", pattern=r"^[a-z0-9_]{1,64}$", description="What programs are told.")


async def stop(step: StepContext, config: StopConfig) -> Any:
    """End the run well."""
    return step.input if config.output is None else config.output.evaluate(step.scope)


async def fail(step: StepContext, config: FailConfig) -> NoReturn:
    """End the run badly."""
    raise StepFailed(config.code, config.message.text(step.scope), is_final=True)


STOP = NodeType(
    name="Stop",
    title="Stop",
    description="Ends the run: it has succeeded. What is still under way on other branches is cancelled.",
    run=stop,
    model=StopConfig,
    has_effects=False,
    ends_run=True,
)
FAIL = NodeType(
    name="Fail",
    title="Fail",
    description="Ends the run: it has failed, with this message, and is a dead letter.",
    run=fail,
    model=FailConfig,
    has_effects=False,
)
