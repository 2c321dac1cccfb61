from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from kanca.domain.decisions import Discard, Retry
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from kanca.testing import call, make_event, send

hooks = HandlerRegistry()


class Order(BaseModel):
    order_id: str


@hooks.on("order.created", name="created", model=Order, max_retries=2)
async def created(event: Event[Any]) -> Any:
    match event.data.order_id:
        case "broken":
            raise RuntimeError("the printer is on fire")
        case "later":
            raise Retry(after=60)
        case "test":
            raise Discard("a test order")
    return {"confirmed": event.data.order_id, "attempt": event.attempt_number}


@hooks.on("order.*", name="archive", endpoint="orders")
def archive(event: Event[Any]) -> Any:
    return event.type


class App:
    handlers = hooks


@pytest.mark.parametrize("handler", [created, "created"])
@pytest.mark.parametrize("app", [hooks, App()])
async def test_a_handler_is_called_as_a_worker_would(app: Any, handler: Any) -> None:
    result = await call(app, handler, "order.created", {"order_id": "ORD-1"})
    assert result.status == "succeeded"
    assert result.result == {"confirmed": "ORD-1", "attempt": 1}


async def test_data_that_do_not_fit_are_dead_at_once() -> None:
    result = await call(hooks, created, "order.created", {})
    assert (result.status, result.reason) == ("dead", "payload_invalid")
    assert result.error is not None
    assert result.error["problems"][0]["loc"] == ["order_id"]


async def test_a_failure_is_tried_again_until_the_last_attempt() -> None:
    first = await call(hooks, created, "order.created", {"order_id": "broken"})
    assert (first.status, first.reason, first.retry_after) == (
        "retrying",
        "handler_error",
        timedelta(seconds=1),
    )
    last = await call(hooks, created, "order.created", {"order_id": "broken"}, attempt_number=2)
    assert last.status == "dead"
    assert last.error is not None
    assert last.error["message"] == "the printer is on fire"


async def test_a_handlers_own_decisions_count() -> None:
    later = await call(hooks, created, "order.created", {"order_id": "later"})
    assert (later.status, later.retry_after) == ("retrying", timedelta(minutes=1))
    assert (await call(hooks, created, "order.created", {"order_id": "test"})).reason == "a test order"


async def test_an_event_reaches_the_handlers_that_want_it() -> None:
    assert list(await send(hooks, "order.created", {"order_id": "ORD-1"})) == ["created"]
    both = await send(hooks, "order.created", {"order_id": "ORD-1"}, slug="orders")
    assert both["archive"].result == "order.created"
    assert list(await send(hooks, "order.created", {}, slug="orders", is_authenticated=False)) == ["archive"]
    assert await send(hooks, "payment.received", {}) == {}


async def test_an_unknown_handler_is_an_error() -> None:
    with pytest.raises(KeyError, match="nobody"):
        await call(hooks, "nobody", "order.created", {})


def test_an_event_can_be_made_by_hand() -> None:
    event = make_event("order.created", {"a": 1}, headers={"X-Shop": "1"}, tenant="acme")
    assert (event.body, event.headers["x-shop"], event.tenant) == (b'{"a":1}', "1", "acme")
