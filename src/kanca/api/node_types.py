"""``/api/node-types``: what the nodes of a workflow can be."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from kanca.api.callers import THE_SAME_FOR_ALL
from kanca.api.routing import resource
from kanca.api.services import Given

router = resource("Workflows", "/api/node-types")


class NodeType(BaseModel):
    """What a node can be."""

    name: str
    title: str
    description: str
    ports: list[str] = Field(description="The ways out of it, which edges name.")
    has_more_ports: bool = Field(description="Whether its config names further ports.")
    is_trigger: bool = Field(description="Events, or the clock, start runs at it or resume them.")
    has_effects: bool = Field(description="It does more than compute, and is retried when it fails.")
    sample: Any = Field(description="Its output in test runs, where it has effects or waits.")
    config_schema: dict[str, Any] = Field(description="The JSON Schema of its config.")


class NodeTypeList(BaseModel):
    """All node types."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "name": "Branch",
                            "title": "Branch",
                            "description": "Goes on at its port `true` or `false`, as the condition says.",
                            "ports": ["true", "false"],
                            "has_more_ports": False,
                            "is_trigger": False,
                            "has_effects": False,
                            "sample": None,
                            "config_schema": {"type": "object"},
                        }
                    ]
                }
            ]
        }
    )

    items: list[NodeType]


@router.get("", summary="List node types", operation_id="list_node_types", dependencies=[THE_SAME_FOR_ALL])
async def list_all(services: Given) -> NodeTypeList:
    """List the node types that workflows may use."""
    return NodeTypeList(items=[NodeType(**node_type.describe()) for node_type in services.nodes])
