"""The built-in node types, a file each."""

from __future__ import annotations

from kanca.workflows.nodes.approval import APPROVAL
from kanca.workflows.nodes.branch import BRANCH
from kanca.workflows.nodes.delay import DELAY
from kanca.workflows.nodes.fail import FAIL
from kanca.workflows.nodes.filter import FILTER
from kanca.workflows.nodes.for_each import FOR_EACH
from kanca.workflows.nodes.http_request import HTTP_REQUEST
from kanca.workflows.nodes.log import LOG
from kanca.workflows.nodes.merge import MERGE
from kanca.workflows.nodes.respond import RESPOND
from kanca.workflows.nodes.schedule import SCHEDULE
from kanca.workflows.nodes.send_webhook import SEND_WEBHOOK
from kanca.workflows.nodes.stop import STOP
from kanca.workflows.nodes.sub_workflow import SUB_WORKFLOW
from kanca.workflows.nodes.switch import SWITCH
from kanca.workflows.nodes.transform import TRANSFORM
from kanca.workflows.nodes.webhook_trigger import WEBHOOK_TRIGGER
from kanca.workflows.registry import NodeRegistry

BUILT_IN = (
    WEBHOOK_TRIGGER,
    SCHEDULE,
    TRANSFORM,
    BRANCH,
    SWITCH,
    FILTER,
    MERGE,
    FOR_EACH,
    SUB_WORKFLOW,
    DELAY,
    APPROVAL,
    HTTP_REQUEST,
    SEND_WEBHOOK,
    RESPOND,
    LOG,
    STOP,
    FAIL,
)
BUILT_IN_NAMES = frozenset(node_type.name for node_type in BUILT_IN)


def built_in_registry() -> NodeRegistry:
    """A new registry with the built-in node types, to which an app adds its own."""
    return NodeRegistry(BUILT_IN)
