"""``WebhookTrigger``: where events enter a workflow, at its start or in its middle."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from kanca.domain.workflow import OUT
from kanca.workflows.config import Cel, EventCel, NodeConfig
from kanca.workflows.correlation import key_of, rule_of
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import AwaitEvent, Came, Left, StepContext

NAME = "WebhookTrigger"
START_NODE = "WebhookStartNode"
"""The older name: a ``WebhookTrigger`` with ``start_only``."""
MAX_TIMEOUT_S = 365 * 86_400


class WebhookTriggerConfig(NodeConfig):
    """What a trigger does with an event."""

    node_behavior: Literal["auto", "start_only", "trigger_only"] = Field(
        "auto",
        description="`start_only`: an event always starts a run; edges into the node are refused. `trigger_only`: an"
        " event never starts a run, it resumes one that waits here. `auto`: with edges into the node it waits, without"
        " any it starts.",
    )
    event_key: EventCel | None = Field(
        None,
        description="Of a trigger that waits: what an event says it is for, such as `event.data.order_id`.",
    )
    wait_key: Cel | None = Field(
        None,
        description="What a run waits for, such as `steps.order.id`. An event resumes the run whose `wait_key` is its"
        " `event_key`, compared as texts. Without keys, the only unfinished run of the workflow is meant.",
    )
    timeout: float = Field(
        86_400,
        gt=0,
        le=MAX_TIMEOUT_S,
        description="Seconds to wait; then the node is left by its port `timeout`.",
    )
    early_for: float = Field(
        86_400,
        ge=0,
        le=30 * 86_400,
        description="Seconds for which an event is kept that comes before its run waits for it.",
    )

    @property
    def longest_wait(self) -> timedelta:
        """How long a run waits."""
        return timedelta(seconds=self.timeout)

    @model_validator(mode="after")
    def _has_both_keys(self) -> Self:
        if (self.event_key is None) != (self.wait_key is None):
            raise ValueError("event_key and wait_key belong together")
        return self


async def run(step: StepContext, config: WebhookTriggerConfig) -> Any:
    """Let the data through that started the run, or wait for an event."""
    if not step.is_waiting_trigger:
        return step.input
    key = key_of(config.wait_key, step.scope)
    return AwaitEvent(rule_of(config.event_key), key, config.longest_wait)


def resume(_step: StepContext, _config: WebhookTriggerConfig, came: Came) -> Left:
    """Go on with the data of the event, or without any."""
    return Left("timeout", None) if came.event is None else Left(OUT, came.event["data"])


WEBHOOK_TRIGGER = NodeType(
    name=NAME,
    title="Webhook trigger",
    description="With no edges into it: starts a run with the data of an event that came in at the endpoint of this"
    " node (or with the data given by hand). With edges into it: the run waits here for an event of that endpoint, or"
    " for one at its own resume address. An event that comes early is kept for it. Its output is the event's data; when"
    " none comes in time, it is left by its port `timeout`.",
    run=run,
    resume=resume,
    takes_events=True,
    model=WebhookTriggerConfig,
    ports=(OUT, "timeout"),
    has_effects=False,
    is_trigger=True,
    passes_input=True,
    sample={},
)
