"""``Log``: writes a line to Kanca's log."""

from __future__ import annotations

from typing import Any, Literal

import structlog
from pydantic import Field

from kanca.workflows.config import Dynamic, DynamicText, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import StepContext

MAX_MESSAGE_LENGTH = 10_000


class LogConfig(NodeConfig):
    """What to write."""

    message: DynamicText = Field(description="The message; an expression when it starts with `=`.")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="How urgent the line is.")
    fields: dict[str, Dynamic] = Field(
        default_factory=dict,
        description="Values that stand on the line under `fields`; texts that start with `=` are expressions.",
    )


async def run(step: StepContext, config: LogConfig) -> Any:
    """Write the line, and let the input through."""
    write = getattr(structlog.get_logger("kanca.workflows"), config.level)
    write(
        "workflow_log",
        message=config.message.text(step.scope)[:MAX_MESSAGE_LENGTH],
        fields={name: value.evaluate(step.scope) for name, value in config.fields.items()},
        workflow=step.run["workflow_id"],
        run=step.run_id,
        node=step.node_id,
    )
    return step.input


LOG = NodeType(
    name="Log",
    title="Log",
    description="Writes a line to Kanca's log. Its output is its input. The line may come twice when a worker dies.",
    run=run,
    model=LogConfig,
    has_effects=False,
    passes_input=True,
)
