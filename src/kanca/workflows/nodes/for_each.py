"""``ForEach``: does the same for every item of a list."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from kanca.domain.workflow import OUT
from kanca.errors import ExpressionFailed
from kanca.workflows.config import Cel, NodeConfig
from kanca.workflows.node_type import ITEM, NodeType
from kanca.workflows.step import Left, StepContext

MAX_ITEMS = 10_000
"""The longest list that may be asked for."""


class ForEachConfig(NodeConfig):
    """Which items, and how many at once."""

    items: Cel = Field(description="An expression that is a list.")
    concurrency: int = Field(10, ge=1, le=100, description="Items that are at work at once.")
    max_items: int = Field(1_000, ge=1, le=MAX_ITEMS, description="A longer list fails the node.")


async def run(step: StepContext, config: ForEachConfig) -> Left:
    """Give the items; the engine does the rest."""
    items: Any = config.items.expression.evaluate(step.scope)
    if not isinstance(items, list):
        raise ExpressionFailed("items must be a list", reason="type_mismatch")
    if len(items) > config.max_items:
        message = f"the list has {len(items)} items, and at most {config.max_items} are wanted (max_items)"
        raise ExpressionFailed(message, reason="too_large")
    return Left(OUT, items)


FOR_EACH = NodeType(
    name="ForEach",
    title="For each",
    description="Runs what its port `item` leads to (its body) once for every item of a list, so many at once; nothing"
    " else may lead into the body, and the body leads nowhere else. The input of the body is the item; in it,"
    " `steps.<id of this node>` is `{item, index}`. When all items are done, it goes on at `out`, with the list of what"
    " each came to, in the order of the items. An item that fails fails the run, or with `continue_on_error` has"
    " `{error}` in the list. Loops in loops are workflows of their own (`SubWorkflow`).",
    run=run,
    model=ForEachConfig,
    ports=(OUT, ITEM),
    has_effects=False,
    is_loop=True,
)
