"""``SendWebhook``: publishes an event."""

from __future__ import annotations

from pydantic import Field

from kanca.domain.event import MAX_SOURCE_ID_LENGTH, MAX_TYPE_LENGTH, is_name
from kanca.domain.ids import EVENT, show_id
from kanca.workflows.config import Dynamic, DynamicText, NodeConfig
from kanca.workflows.node_type import NodeType
from kanca.workflows.step import Left, Publication, StepContext, StepFailed
from kanca.workflows.values import write_json


class SendWebhookConfig(NodeConfig):
    """What to publish."""

    event_type: DynamicText = Field(
        description="The event type, such as `order.shipped`; an expression when it starts with `=`."
    )
    data: Dynamic | None = Field(
        None, description="The event's data; texts that start with `=` are expressions. Unset: the input."
    )
    event_id: DynamicText | None = Field(None, description="Your own id of the event, for those who get it.")


async def run(step: StepContext, config: SendWebhookConfig) -> Left:
    """Say what to publish; it is, once this step is stored."""
    event_type = config.event_type.text(step.scope)
    if not is_name(event_type, MAX_TYPE_LENGTH):
        message = f"an event type has 1 to {MAX_TYPE_LENGTH} printable characters"
        raise StepFailed("bad_event_type", message, is_final=True)
    data = step.input if config.data is None else config.data.evaluate(step.scope)
    write_json(data)  # refused here, where it is the node's own failure
    source_event_id = None if config.event_id is None else config.event_id.text(step.scope)
    if source_event_id is not None and not is_name(source_event_id, MAX_SOURCE_ID_LENGTH):
        # Cut short it could be another event's.
        message = f"an id of an event has 1 to {MAX_SOURCE_ID_LENGTH} printable characters"
        raise StepFailed("bad_event_id", message, is_final=True)
    event_id = step.new_id()
    publication = Publication(event_id, event_type, data, source_event_id)
    return Left("out", {"event_id": show_id(EVENT, event_id), "event_type": event_type}, (publication,))


SEND_WEBHOOK = NodeType(
    name="SendWebhook",
    title="Send webhook",
    description="Publishes an event, in the transaction that stores the step: exactly once, whatever crashes. Handlers"
    ' with `source="published"` get it. The output is `{event_id, event_type}`.',
    run=run,
    model=SendWebhookConfig,
    has_effects=False,
)
