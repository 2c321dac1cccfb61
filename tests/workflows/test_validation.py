from __future__ import annotations

import itertools
from typing import Any

import pytest
from pydantic import BaseModel

from kanca.errors import InvalidWorkflow
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.validation import read_workflow


class InvoiceConfig(BaseModel):
    currency: str
    copies: int = 1


@pytest.fixture
def registry() -> NodeRegistry:
    registry = built_in_registry()

    @registry.node("SendInvoice", config=InvoiceConfig, ports=("sent", "refused"))
    def send_invoice(step: Any, config: InvoiceConfig) -> None:
        """Send it."""

    return registry


def node(node_id: str, type_name: str = "Log", **config: Any) -> dict[str, Any]:
    if type_name == "Log" and not config:
        config = {"message": "here"}
    return {"id": node_id, "type": type_name, "config": config}


def edge(source: str, target: str, port: str = "out") -> dict[str, str]:
    return {"from": source, "to": target, "port": port}


START = node("start", "WebhookTrigger")


def workflow(*nodes: dict[str, Any], edges: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """The nodes behind a trigger, one after the other unless told otherwise."""
    chain = [START, *nodes]
    chained = [edge(a["id"], b["id"]) for a, b in itertools.pairwise(chain)]
    return {"id": "w", "nodes": chain, "edges": chained if edges is None else edges}


def test_a_good_definition_is_ordered_and_prepared(registry: NodeRegistry) -> None:
    values = workflow(
        node("check", "Branch", condition="event.data.total > 100"),
        node("big"),
        node("end"),
        edges=[
            edge("start", "check"),
            edge("check", "big", "true"),
            edge("check", "end", "false"),
            edge("big", "end"),
        ],
    )
    read = read_workflow(values, registry)
    assert read.order == ("start", "check", "big", "end")
    assert read.starts == ("start",)
    assert read.nodes["check"].type.ports == ("true", "false")


def test_the_older_trigger_only_starts(registry: NodeRegistry) -> None:
    read = read_workflow({"id": "w", "nodes": [node("s", "WebhookStartNode")]}, registry)
    assert read.definition.nodes[0].type == "WebhookTrigger"
    assert read.nodes["s"].settings.config.node_behavior == "start_only"


def transform(node_id: str, value: Any) -> dict[str, Any]:
    return node(node_id, "Transform", value=value)


BAD = [
    ("no trigger", {"id": "w", "nodes": [node("a")], "edges": []}, None, "no_trigger", "needs a trigger"),
    ("no nodes", {"id": "w", "nodes": [], "edges": []}, None, "no_trigger", "needs a trigger"),
    (
        "two nodes, one id",
        workflow(node("a"), node("a"), edges=[edge("start", "a")]),
        "a",
        "duplicate_node",
        "several",
    ),
    ("unknown type", workflow(node("a", "Nope")), "a", "unknown_node_type", "'Nope'"),
    (
        "unknown key",
        workflow(node("a", message="x", colour="red")),
        "a",
        "unknown_key",
        "colour: there is no such key",
    ),
    ("missing key", workflow(node("a", "Branch")), "a", "missing_key", "condition: Field required"),
    (
        "wrong type",
        workflow(node("a", message=5)),
        "a",
        "bad_config",
        "message: Input should be a valid string",
    ),
    ("unknown level", workflow(node("a", message="x", level="loud")), "a", "bad_config", "level:"),
    (
        "option of nodes with effects",
        workflow(node("a", message="x", timeout=5)),
        "a",
        "unknown_key",
        "timeout",
    ),
    (
        "bad timeout",
        workflow(node("a", "SendInvoice", currency="EUR", timeout=0)),
        "a",
        "bad_config",
        "timeout:",
    ),
    (
        "bad retry",
        workflow(node("a", "SendInvoice", currency="EUR", retry={"max_retries": 0})),
        "a",
        "bad_config",
        "max_retries:",
    ),
    (
        "custom unknown key",
        workflow(node("a", "SendInvoice", currency="EUR", x=1)),
        "a",
        "unknown_key",
        "x: ",
    ),
    ("custom missing key", workflow(node("a", "SendInvoice")), "a", "missing_key", "currency"),
    (
        "bad expression",
        workflow(node("a", "Branch", condition="1 +")),
        "a",
        "bad_expression",
        "line 1, column 4",
    ),
    (
        "unknown name",
        workflow(node("a", "Branch", condition="order.x")),
        "a",
        "bad_expression",
        "unknown name 'order'",
    ),
    (
        "bad expression inside",
        workflow(transform("a", {"b": [{"c": "= 1 +"}]})),
        "a",
        "bad_expression",
        "value: in b.0.c: line 1, column 5: ",
    ),
    (
        "edge from nowhere",
        workflow(node("a"), edges=[edge("start", "a"), edge("x", "a")]),
        "a",
        "unknown_node",
        "'x'",
    ),
    ("edge to nowhere", workflow(edges=[edge("start", "x")]), "start", "unknown_node", "leads to 'x'"),
    (
        "unknown port",
        workflow(node("a"), edges=[edge("start", "a", "no")]),
        "start",
        "unknown_port",
        "there is: out",
    ),
    (
        "port out of a branch",
        workflow(node("b", "Branch", condition="true"), node("a")),
        "b",
        "unknown_port",
        "there is: true, false",
    ),
    (
        "the same edge twice",
        workflow(node("a"), edges=[edge("start", "a"), edge("start", "a")]),
        "start",
        "duplicate_edge",
        "several equal edges to 'a'",
    ),
    (
        "a circle",
        workflow(node("a"), node("b"), edges=[edge("start", "a"), edge("a", "b"), edge("b", "a")]),
        "a",
        "cycle",
        "a → b → a",
    ),
    (
        "a circle of one",
        workflow(node("a"), edges=[edge("start", "a"), edge("a", "a")]),
        "a",
        "cycle",
        "a → a",
    ),
    ("unreachable", workflow(node("a"), edges=[]), "a", "unreachable_node", "no trigger leads to this node"),
    (
        "start_only in the middle",
        workflow(node("t", "WebhookTrigger", node_behavior="start_only")),
        "t",
        "incoming_edge",
        "only starts runs",
    ),
    (
        "older start in the middle",
        workflow(node("t", "WebhookStartNode")),
        "t",
        "incoming_edge",
        "only starts runs",
    ),
    (
        "trigger_only",
        {"id": "w", "nodes": [node("t", "WebhookTrigger", node_behavior="trigger_only")]},
        None,
        "no_trigger",
        "a trigger that starts it",
    ),
    (
        "a later step",
        workflow(transform("a", "=steps.b"), transform("b", 1)),
        "a",
        "not_before",
        "does not come before",
    ),
    (
        "its own step",
        workflow(transform("a", "=steps.a")),
        "a",
        "not_before",
        "does not come before this node",
    ),
    ("an unknown step", workflow(transform("a", "=steps['b-1'].x")), "a", "not_before", "'b-1' is no node"),
]


@pytest.mark.parametrize(
    ("values", "node_id", "code", "words"), [case[1:] for case in BAD], ids=[c[0] for c in BAD]
)
def test_a_mistake_is_told_once_with_its_node(
    registry: NodeRegistry, values: Any, node_id: str | None, code: str, words: str
) -> None:
    with pytest.raises(InvalidWorkflow) as refused:
        read_workflow(values, registry)
    (problem,) = refused.value.facts["problems"]
    assert (problem["node"], problem["code"]) == (node_id, code)
    assert words in problem["message"]
    assert words in refused.value.detail


def test_the_shape_is_checked_first(registry: NodeRegistry) -> None:
    with pytest.raises(InvalidWorkflow) as refused:
        read_workflow([], registry)
    assert refused.value.facts["problems"] == [
        {"node": None, "code": "bad_definition", "message": "the definition must be an object"}
    ]


def test_all_problems_are_told_at_once(registry: NodeRegistry) -> None:
    values = workflow(
        node("a", "Nope"),
        node("b", "Branch", condition="nope"),
        node("c", message="x", level="loud", colour="red"),
        edges=[edge("start", "a"), edge("start", "b"), edge("b", "x", "true"), edge("b", "b", "maybe")],
    )
    with pytest.raises(InvalidWorkflow) as refused:
        read_workflow(values, registry)
    found = sorted((p["node"], p["code"]) for p in refused.value.facts["problems"])
    assert found == [
        ("a", "unknown_node_type"),
        ("b", "bad_expression"),
        ("b", "cycle"),
        ("b", "unknown_node"),
        ("b", "unknown_port"),
        ("c", "bad_config"),
        ("c", "unknown_key"),
        ("c", "unreachable_node"),
    ]
    assert refused.value.detail.endswith("and 5 more")


def test_a_step_that_may_have_been_skipped_can_be_asked_for(registry: NodeRegistry) -> None:
    values = workflow(
        node("check", "Branch", condition="true"),
        transform("yes", 1),
        transform("end", "=has(steps.yes) ? steps.yes : steps.start.total"),
        edges=[
            edge("start", "check"),
            edge("check", "yes", "true"),
            edge("check", "end", "false"),
            edge("yes", "end"),
        ],
    )
    assert read_workflow(values, registry).order[-1] == "end"
