from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from kanca.errors import InvalidNodeType
from kanca.workflows.node_type import ConfigRefused
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.registry import NodeRegistry


class InvoiceConfig(BaseModel):
    currency: str
    copies: int = 1


@pytest.fixture
def registry() -> NodeRegistry:
    return built_in_registry()


def test_a_function_becomes_a_node_type(registry: NodeRegistry) -> None:
    @registry.node("SendInvoice", config=InvoiceConfig, ports=("sent", "refused"), max_retries=3, timeout=7)
    async def send_invoice(step: Any, config: InvoiceConfig) -> None:
        """Send an invoice by e-mail."""

    found = registry.get("SendInvoice")
    assert found is not None
    assert (found.run, found.is_async, found.has_effects) == (send_invoice, True, True)
    assert found.ports == ("sent", "refused")
    settings = found.read_config({"currency": "EUR"})
    assert isinstance(settings.config, InvoiceConfig)
    assert settings.config.model_dump() == {"currency": "EUR", "copies": 1}
    assert (settings.policy.max_attempts, settings.timeout) == (3, timedelta(seconds=7))


def test_a_nodes_own_config_wins(registry: NodeRegistry) -> None:
    registry.node("N", max_retries=3, timeout=7)(lambda step, config: None)
    found = registry.get("N")
    assert found is not None
    settings = found.read_config({"x": 1, "timeout": 2.5, "retry": {"max_retries": 9, "initial_delay": 0}})
    assert settings.config == {"x": 1}
    assert (settings.timeout, settings.policy.max_attempts) == (timedelta(seconds=2.5), 9)
    assert settings.policy.initial_delay == timedelta(0)


def test_unknown_keys_are_refused_unless_the_model_takes_them(registry: NodeRegistry) -> None:
    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    registry.node("Closed", config=InvoiceConfig)(lambda step, config: None)
    registry.node("Open", config=Open)(lambda step, config: None)
    closed, opened = registry.get("Closed"), registry.get("Open")
    assert closed is not None
    assert opened is not None
    with pytest.raises(ConfigRefused) as refused:
        closed.read_config({"currency": "EUR", "x": 1})
    assert refused.value.problems == [("unknown_key", "x: there is no such key")]
    assert opened.read_config({"x": 1}).config.x == 1


def test_a_node_type_describes_itself(registry: NodeRegistry) -> None:
    @registry.node("SendInvoice", config=InvoiceConfig)
    def send_invoice(step: Any, config: InvoiceConfig) -> None:
        """Send an invoice.

        By e-mail.
        """

    found = registry.get("SendInvoice")
    assert found is not None
    described = found.describe()
    schema = described.pop("config_schema")
    assert described == {
        "name": "SendInvoice",
        "title": "SendInvoice",
        "description": "Send an invoice.\n\nBy e-mail.",
        "ports": ["out"],
        "has_more_ports": False,
        "is_trigger": False,
        "has_effects": True,
        "sample": None,
    }
    assert set(schema["properties"]) == {"currency", "copies", "timeout", "retry", "continue_on_error"}
    assert schema["required"] == ["currency"]
    assert schema["additionalProperties"] is False
    assert "RetryOptions" in schema["$defs"]


def test_pure_nodes_have_no_timeout_and_no_retry(registry: NodeRegistry) -> None:
    found = registry.get("Transform")
    assert found is not None
    assert set(found.config_schema()["properties"]) == {"value", "continue_on_error"}


@pytest.mark.parametrize(
    ("register", "words"),
    [
        (lambda r: r.node("Log")(lambda step, config: None), "already"),
        (lambda r: r.node("no spaces")(lambda step, config: None), "cannot be the name"),
        (lambda r: r.node("N", ports=())(lambda step, config: None), "at least one port"),
        (lambda r: r.node("N", ports=("a", "a"))(lambda step, config: None), "each once"),
        (lambda r: r.node("N", ports=("a b",))(lambda step, config: None), "a port is named with"),
        (lambda r: r.node("N", config=dict)(lambda step, config: None), "Pydantic model"),
        (lambda r: r.node("N", max_retries=0)(lambda step, config: None), "from 1 to 1000"),
        (lambda r: r.node("N", timeout=0)(lambda step, config: None), "timeout must be"),
        (lambda r: r.node("N", timeout=timedelta(days=1))(lambda step, config: None), "timeout must be"),
        (lambda r: r.node("N")(lambda step: None), "takes two arguments"),
        (lambda r: r.node("N")("no function"), "needs a function"),
    ],
)
def test_a_node_type_that_cannot_be_is_refused(
    registry: NodeRegistry, register: Callable[[NodeRegistry], Any], words: str
) -> None:
    with pytest.raises(InvalidNodeType, match=words):
        register(registry)


def test_a_field_cannot_have_the_name_of_an_option(registry: NodeRegistry) -> None:
    class Taken(BaseModel):
        timeout: int

    with pytest.raises(InvalidNodeType, match="are read by Kanca"):
        registry.node("N", config=Taken)(lambda step, config: None)
    registry.node("Pure", config=Taken, has_effects=False)(lambda step, config: None)


def test_a_node_cannot_yield(registry: NodeRegistry) -> None:
    async def yields(step: Any, config: Any) -> AsyncIterator[int]:
        yield 1

    with pytest.raises(InvalidNodeType, match="cannot yield"):
        registry.node("N")(yields)


def test_async_functions_are_known_in_all_their_forms(registry: NodeRegistry) -> None:
    async def runs(extra: int, step: Any, config: Any) -> None: ...

    class Callables:
        async def __call__(self, step: Any, config: Any) -> None: ...

    for name, function in (("A", partial(runs, 1)), ("B", Callables()), ("C", Callables().__call__)):
        registry.node(name)(function)
        found = registry.get(name)
        assert found is not None
        assert found.is_async
