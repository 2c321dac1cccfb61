"""What the guide shows does what it says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kanca.domain.event import data_of
from kanca.handlers.ordering import key_by_path
from kanca.testing import call, make_event, send
from tests.guides import modules_of


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Any]:
    with modules_of("handlers.md", tmp_path) as modules:
        yield modules["shop/hooks.py"]


async def test_the_first_handler_confirms_an_order(shop: Any) -> None:
    results = await send(shop.hooks, "order.created", {"order_id": "A-1", "total": "12.50"})
    assert list(results) == ["shop.hooks.order_created"]
    assert results["shop.hooks.order_created"].result == {"confirmed": "A-1"}
    [dead] = (await send(shop.hooks, "order.created", {"order_id": "A-1"})).values()
    assert (dead.status, dead.reason) == ("dead", "payload_invalid")


async def test_a_handler_may_be_narrow(shop: Any) -> None:
    data = {"amount": 5}
    assert await send(shop.hooks, "payment.refunded", data, provider="stripe") == {}
    results = await send(shop.hooks, "payment.refunded", data, provider="stripe", tenant="acme")
    assert results["shop.hooks.note_payment"].result == {"type": "payment.refunded", "amount": 5}


@pytest.mark.parametrize("is_authenticated", [True, False])
async def test_the_form_of_an_open_endpoint_has_a_handler(shop: Any, is_authenticated: bool) -> None:
    data = {"email": "a@example.com"}
    for slug, count in (("contact-form", 1), ("other", 0)):
        results = await send(shop.hooks, "form.sent", data, slug=slug, is_authenticated=is_authenticated)
        assert len(results) == count


@pytest.mark.parametrize(
    ("status", "came_to", "reason", "after"),
    [
        (200, "succeeded", None, None),
        (429, "retrying", "retry_requested", timedelta(seconds=60)),
        (410, "skipped", "the customer is gone", None),
        (500, "retrying", "handler_error", timedelta(seconds=30)),
    ],
)
async def test_a_handler_decides_what_follows(
    shop: Any, status: int, came_to: str, reason: str | None, after: timedelta | None
) -> None:
    keys = []

    async def send_invoice(order_id: str, idempotency_key: str) -> Any:
        keys.append(idempotency_key)

        def raise_for_status() -> None:
            if status >= 400:
                raise RuntimeError(status)

        return SimpleNamespace(status=status, raise_for_status=raise_for_status)

    shop.send_invoice = send_invoice
    result = await call(shop.hooks, shop.order_paid, "order.paid", {"order_id": "A-1"})
    assert (result.status, result.reason, result.retry_after) == (came_to, reason, after)
    again = await call(shop.hooks, shop.order_paid, "order.paid", {"order_id": "A-1"}, attempt_number=8)
    assert again.status == ("dead" if came_to == "retrying" else came_to)
    assert keys[0] == keys[1]


def test_order_keys_are_found(shop: Any) -> None:
    handlers = {handler.name: handler for handler in shop.hooks.handlers}
    path = handlers["shop.hooks.payment_received"].spec.order_path
    assert path is not None
    assert key_by_path(path, data_of({"data": {"order": {"id": 7}}, "event_type": "x"})) is not None
    order_by = handlers["shop.hooks.stock_changed"].order_by
    assert order_by is not None
    assert order_by(make_event("stock.low", {}, headers={"X-Warehouse": "3"})) == "3"


def test_what_was_booked_is_not_booked_again(shop: Any) -> None:
    database = sqlite3.connect(":memory:")
    database.executescript(
        "CREATE TABLE done (call_id TEXT PRIMARY KEY); CREATE TABLE account (balance INTEGER);"
        "INSERT INTO account VALUES (0);"
    )
    assert shop.book_once(database, "call_1", 5)
    assert not shop.book_once(database, "call_1", 5)
    assert database.execute("SELECT balance FROM account").fetchone() == (5,)
    database.close()
