"""The built-in node types, a file each."""

from __future__ import annotations

from kanca.workflows.nodes.branch import BRANCH
from kanca.workflows.nodes.http_request import HTTP_REQUEST
from kanca.workflows.nodes.log import LOG
from kanca.workflows.nodes.schedule import SCHEDULE
from kanca.workflows.nodes.transform import TRANSFORM
from kanca.workflows.nodes.webhook_trigger import WEBHOOK_TRIGGER
from kanca.workflows.registry import NodeRegistry

BUILT_IN = (WEBHOOK_TRIGGER, SCHEDULE, TRANSFORM, BRANCH, HTTP_REQUEST, LOG)
BUILT_IN_NAMES = frozenset(node_type.name for node_type in BUILT_IN)


def built_in_registry() -> NodeRegistry:
    """A new registry with the built-in node types, to which an app adds its own."""
    return NodeRegistry(BUILT_IN)
