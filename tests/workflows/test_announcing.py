from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field

from kanca.errors import InvalidWorkflow
from kanca.storage import node_types
from kanca.storage.ports import Database
from kanca.workflows.announcing import AnnouncedNodeTypes, announce, announced_type
from kanca.workflows.config import Cel, Dynamic, DynamicText
from kanca.workflows.node_type import ConfigRefused, NodeType
from kanca.workflows.nodes import BUILT_IN, built_in_registry
from kanca.workflows.registry import NodeRegistry
from kanca.workflows.validation import read_workflow


class Line(BaseModel):
    product: str
    count: int = Field(1, ge=1)


class InvoiceConfig(BaseModel):
    currency: str
    lines: list[Line] = []
    when: Cel | None = None
    to: DynamicText | None = None
    extra: Dynamic | None = None


def an_app() -> NodeRegistry:
    registry = built_in_registry()

    @registry.node("SendInvoice", config=InvoiceConfig, ports=("sent", "refused"))
    def send_invoice(step: Any, config: InvoiceConfig) -> None:
        """Send an invoice."""

    return registry


def invoice_type(registry: NodeRegistry) -> NodeType:
    found = registry.get("SendInvoice")
    assert found is not None
    return found


GOOD: list[dict[str, Any]] = [
    {"currency": "EUR"},
    {"currency": "EUR", "lines": [{"product": "pen", "count": 2}], "timeout": 5, "retry": {"max_retries": 2}},
    {"currency": "EUR", "when": "event.type == 'x'", "to": "=event.data.email", "extra": {"a": ["=input"]}},
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "missing_key"),
    ({"currency": "EUR", "colour": "red"}, "unknown_key"),
    ({"currency": 5}, "bad_config"),
    ({"currency": "EUR", "lines": [{"product": "pen", "count": 0}]}, "bad_config"),
    ({"currency": "EUR", "lines": "none"}, "bad_config"),
    ({"currency": "EUR", "timeout": -1}, "bad_config"),
    ({"currency": "EUR", "extra": {"a": ["= 1 +"]}}, "bad_expression"),
    ({"currency": "EUR", "when": "1 +"}, "bad_expression"),
    ({"currency": "EUR", "to": "=nope"}, "bad_expression"),
]


@pytest.mark.parametrize("config", GOOD)
def test_a_good_config_is_good_in_both_processes(config: dict[str, Any]) -> None:
    own = invoice_type(an_app())
    own.read_config(config)
    announced_type(own.describe()).read_config(config)


@pytest.mark.parametrize(("config", "code"), BAD)
def test_a_bad_config_is_refused_in_both_processes(config: dict[str, Any], code: str) -> None:
    own = invoice_type(an_app())
    for kind in (own, announced_type(own.describe())):
        with pytest.raises(ConfigRefused) as refused:
            kind.read_config(config)
        assert [found for found, _ in refused.value.problems] == [code]


def test_an_announced_type_describes_itself_as_its_own_process_does() -> None:
    described = invoice_type(an_app()).describe()
    assert announced_type(described).describe() == described


async def test_a_gateway_learns_what_a_worker_announces(database: Database) -> None:
    announced = AnnouncedNodeTypes(database, built_in_registry())
    gateway = announced.registry
    await announced.run_once()
    assert gateway.get("SendInvoice") is None

    await announce(database, "shop", an_app())
    await announced.run_once()
    values = {
        "id": "w",
        "nodes": [
            {"id": "start", "type": "WebhookTrigger"},
            {"id": "send", "type": "SendInvoice", "config": {"currency": "EUR"}},
        ],
        "edges": [{"from": "start", "to": "send"}],
    }
    assert read_workflow(values, gateway).order == ("start", "send")
    assert [kind.name for kind in gateway] == [*(kind.name for kind in BUILT_IN), "SendInvoice"]

    await announce(database, "shop", built_in_registry())
    await announced.run_once()
    with pytest.raises(InvalidWorkflow, match="there is no node type 'SendInvoice'"):
        read_workflow(values, gateway)


async def test_a_process_keeps_its_own_type_of_a_name(database: Database) -> None:
    app = an_app()
    await announce(database, "shop", app)
    announced = AnnouncedNodeTypes(database, app)
    await announced.run_once()
    assert invoice_type(announced.registry).model is not None


async def test_announcing_again_changes_nothing(database: Database) -> None:
    await announce(database, "shop", an_app())
    before = await database.read(node_types.announced)
    await announce(database, "shop", an_app())
    assert await database.read(node_types.announced) == before


async def test_apps_retire_only_their_own_types(database: Database) -> None:
    await announce(database, "shop", an_app())
    await announce(database, "other", built_in_registry())
    assert list(await database.read(node_types.announced)) == ["SendInvoice"]
