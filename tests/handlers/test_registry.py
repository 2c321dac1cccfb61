import functools
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from kanca.domain.retry import RetryPolicy
from kanca.errors import InvalidHandler, UnknownProvider
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from kanca.providers import Catalogue


class Order(BaseModel):
    order_id: str


async def on_order(event: Event[Any]) -> Any: ...


def only(registry: HandlerRegistry) -> Any:
    (handler,) = registry
    return handler


def test_the_function_is_given_back_unchanged() -> None:
    assert HandlerRegistry().on("order.created")(on_order) is on_order


def test_a_handler_is_called_after_its_function() -> None:
    registry = HandlerRegistry()
    registry.on("order.created")(on_order)
    assert only(registry).name == f"{__name__}.on_order"
    assert registry.get(f"{__name__}.on_order") is only(registry)


def test_a_name_of_its_own_stands_for_the_handler() -> None:
    registry = HandlerRegistry()
    registry.on("order.created", name="orders")(on_order)
    assert "orders" in registry
    assert len(registry) == 1


def test_a_taken_name_is_refused() -> None:
    registry = HandlerRegistry()
    registry.on("order.created")(on_order)
    with pytest.raises(InvalidHandler, match="already"):
        registry.on("order.updated")(on_order)


def test_one_function_may_listen_twice_under_two_names() -> None:
    registry = HandlerRegistry()
    registry.on("order.created", name="created")(registry.on("order.updated", name="updated")(on_order))
    assert [handler.name for handler in registry] == ["updated", "created"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"pattern": ""},
        {"pattern": "two words"},
        {"pattern": "a.*.b"},
        {"name": "line\nbreak"},
        {"name": "x" * 201},
        {"max_retries": 0},
        {"max_retries": 1001},
        {"timeout": 0},
        {"timeout": -1.0},
        {"timeout": timedelta(hours=2)},
        {"source": "elsewhere"},
        {"order_by": "a..b"},
        {"order_by": 3},
        {"retry": RetryPolicy(backoff_factor=0.5)},
        {"retry": RetryPolicy(initial_delay=timedelta(seconds=-1))},
        {"retry": RetryPolicy(jitter=2.0)},
        {"model": object()},
    ],
)
def test_what_cannot_be_is_an_error_when_it_is_registered(arguments: dict[str, Any]) -> None:
    registry = HandlerRegistry()
    with pytest.raises(InvalidHandler):
        registry.on(**{"pattern": "order.created", **arguments})(on_order)
    assert len(registry) == 0


def test_a_handler_of_a_provider_that_nobody_knows_is_named_when_a_worker_starts() -> None:
    registry = HandlerRegistry()
    registry.on("order.created", provider="stripy", name="billing")(on_order)

    with pytest.raises(UnknownProvider, match=r"'billing' is for `stripy`.*`stripe`"):
        registry.check_providers(Catalogue())


def test_a_handler_may_be_for_a_provider_of_ones_own() -> None:
    registry = HandlerRegistry()
    registry.on("order.created", provider="acme")(on_order)

    registry.check_providers(Catalogue({"acme": {"signatures": [{"scheme": "hmac", "header": "X-Acme"}]}}))


def generator(event: Event[Any]) -> Any:
    yield event


async def async_generator(event: Event[Any]) -> Any:
    yield event


@pytest.mark.parametrize("function", [generator, async_generator, lambda: None, lambda a, b: None, Order, 3])
def test_what_cannot_be_called_with_an_event_is_refused(function: Any) -> None:
    with pytest.raises(InvalidHandler):
        HandlerRegistry().on("order.created")(function)


class CallableHandler:
    async def __call__(self, event: Event[Any]) -> Any: ...


class Bound:
    async def handle(self, event: Event[Any]) -> Any: ...


async def with_settings(setting: Any, event: Event[Any]) -> Any: ...


@pytest.mark.parametrize(
    "function", [on_order, CallableHandler(), Bound().handle, functools.partial(with_settings, "setting")]
)
def test_async_callables_are_seen_as_such(function: Any) -> None:
    registry = HandlerRegistry()
    registry.on("order.created")(function)
    assert only(registry).is_async


def test_a_plain_function_is_sync() -> None:
    registry = HandlerRegistry()
    registry.on("order.created")(lambda event: None)
    assert not only(registry).is_async


def test_attempts_are_five_unless_said_otherwise() -> None:
    registry = HandlerRegistry()
    registry.on("a", name="default")(on_order)
    registry.on("a", name="counted", max_retries=2)(on_order)
    registry.on("a", name="policy", retry=RetryPolicy(max_attempts=7, backoff_factor=3.0))(on_order)
    registry.on("a", name="both", retry=RetryPolicy(backoff_factor=3.0), max_retries=3)(on_order)
    assert [handler.policy.max_attempts for handler in registry] == [5, 2, 7, 3]
    assert [handler.policy.backoff_factor for handler in registry] == [2.0, 2.0, 3.0, 3.0]


def test_a_timeout_may_be_seconds_or_a_duration() -> None:
    registry = HandlerRegistry()
    registry.on("a", name="none")(on_order)
    registry.on("a", name="seconds", timeout=1.5)(on_order)
    registry.on("a", name="duration", timeout=timedelta(minutes=1))(on_order)
    assert [handler.timeout for handler in registry] == [None, timedelta(seconds=1.5), timedelta(minutes=1)]
    assert [handler.spec.timeout_s for handler in registry] == [None, 1.5, 60.0]


def test_what_is_announced_says_where_the_order_comes_from() -> None:
    registry = HandlerRegistry()
    registry.on("a", name="none")(on_order)
    registry.on("a", name="path", order_by="customer.id")(on_order)
    registry.on("a", name="function", order_by=lambda event: event.tenant)(on_order)
    assert [(handler.spec.order, handler.spec.order_path) for handler in registry] == [
        (None, None),
        ("path", "customer.id"),
        ("function", None),
    ]
