"""``WebhookTrigger``: where events enter a workflow."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from kanca.workflows.config import NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import StepContext

NAME = "WebhookTrigger"
START_NODE = "WebhookStartNode"
"""The older name: a ``WebhookTrigger`` with ``start_only``."""


class WebhookTriggerConfig(NodeConfig):
    """What a trigger does with an event."""

    node_behavior: Literal["auto", "start_only", "trigger_only"] = Field(
        "auto",
        description="`start_only`: an event always starts a run; edges into the node are refused. `auto`: the same, for"
        " a node without incoming edges. `trigger_only` (an event resumes a waiting run) is not supported yet.",
    )


async def run(step: StepContext, _config: WebhookTriggerConfig) -> Any:
    """Let the data through that started the run."""
    return step.input


WEBHOOK_TRIGGER = NodeType(
    name=NAME,
    title="Webhook trigger",
    description="Starts a run with the data of an event that came in at the endpoint of this node (or with the data"
    " given by hand). Its output is that data.",
    run=run,
    model=WebhookTriggerConfig,
    has_effects=False,
    is_trigger=True,
    passes_input=True,
)
