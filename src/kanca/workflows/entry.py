"""What an event does at a node: it starts a run, or resumes one. Pure; it needs no node type but the trigger."""

from __future__ import annotations

from kanca.domain.endpoint import NodeBehavior
from kanca.domain.event import StoredEvent
from kanca.domain.workflow import Definition, Node
from kanca.errors import ExpressionFailed
from kanca.expressions.event_scope import stored_event_scope
from kanca.workflows.correlation import key_of, rule_of
from kanca.workflows.node_type import ConfigRefused
from kanca.workflows.nodes.webhook_trigger import NAME, START_NODE, WEBHOOK_TRIGGER, WebhookTriggerConfig


def trigger_of(definition: Definition, node_id: str | None) -> Node | None:
    """The trigger with that id (None: the only one there is)."""
    triggers = [node for node in definition.nodes if node.type in {NAME, START_NODE}]
    if node_id is None:
        return triggers[0] if len(triggers) == 1 else None
    return next((node for node in triggers if node.id == node_id), None)


def is_wait(definition: Definition, node: Node) -> bool:
    """Whether runs wait at a trigger, and do not start there: as its config says, else by its place in the graph."""
    behavior = (
        node.config.get("node_behavior", NodeBehavior.AUTO) if node.type == NAME else NodeBehavior.START_ONLY
    )
    if behavior == NodeBehavior.AUTO:
        return any(edge.target == node.id for edge in definition.edges)
    return bool(behavior == NodeBehavior.TRIGGER_ONLY)


def contradiction(definition: Definition, node_id: str | None, behavior: NodeBehavior) -> str | None:
    """Why events of an endpoint that behaves so cannot enter at a trigger; None where they can, or it is none."""
    trigger = trigger_of(definition, node_id)
    if trigger is None or behavior is NodeBehavior.AUTO:
        return None
    has_edges = any(edge.target == trigger.id for edge in definition.edges)
    if behavior is NodeBehavior.START_ONLY and has_edges:
        return f"`start_only`, but edges lead to the node {trigger.id!r}: runs wait there, and do not start"
    if behavior is NodeBehavior.TRIGGER_ONLY and not has_edges:
        return f"`trigger_only`, but no edge leads to the node {trigger.id!r}: no run could wait there"
    return None


def config_of(node: Node) -> WebhookTriggerConfig | None:
    """The config of a trigger; None when it cannot be read (any more)."""
    try:
        config = WEBHOOK_TRIGGER.read_config(node.config).config
    except ConfigRefused:
        return None
    return config if isinstance(config, WebhookTriggerConfig) else None


def key_in(config: WebhookTriggerConfig, event: StoredEvent) -> tuple[str, str]:
    """``(rule, key)`` of an event, as a trigger has it. Raises ExpressionFailed."""
    scope = {"event": stored_event_scope(event)} if config.event_key is not None else {}
    return rule_of(config.event_key), key_of(config.event_key, scope)


def keys_in(configs: list[WebhookTriggerConfig], event: StoredEvent) -> tuple[tuple[str, str], ...]:
    """The keys of an event, as several versions of a trigger have them. Raises ExpressionFailed when none can say."""
    keys: dict[str, str] = {}
    failed: ExpressionFailed | None = None
    for config in configs:
        try:
            rule, key = key_in(config, event)
        except ExpressionFailed as error:
            failed = error
        else:
            keys[rule] = key
    if failed is not None and not keys:
        raise failed
    return tuple(keys.items())
