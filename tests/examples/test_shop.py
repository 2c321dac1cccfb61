from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kanca.testing import CallResult, call, send
from shop.flaky_service import FlakyService, moods
from shop.hooks import hooks, shipment_dispatched
from shop.models import OrderCreated

SHOP = Path(__file__).parents[2] / "examples" / "shop"

ORDER: dict[str, Any] = {
    "order_id": "ORD-00001001",
    "email": "ayse@example.com",
    "total": 64.7,
    "currency": "TRY",
    "items": [
        {"product": "Black tea, 1 kg", "quantity": 2, "price": 24.9},
        {"product": "Tea glass", "quantity": 1, "price": 14.9},
    ],
}


class BackOffice:
    """The example's own stub, answering as the test says and then always well."""

    def __init__(self, *moods: str) -> None:
        def script() -> Iterator[Any]:
            yield from moods
            while True:
                yield "works"

        self.service = FlakyService(0, script())
        self.url = f"http://127.0.0.1:{self.service.server_port}"
        self._thread = threading.Thread(target=self.service.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.service.shutdown()
        self.service.server_close()
        self._thread.join()


@pytest.fixture
def back_office(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackOffice]:
    office = BackOffice(*getattr(request, "param", ()))
    monkeypatch.setattr("shop.backoffice.URL", office.url)
    yield office
    office.close()


async def handle(event_type: str, data: dict[str, Any], **fields: Any) -> CallResult:
    results = await send(hooks, event_type, data, **fields)
    assert len(results) == 1
    return next(iter(results.values()))


def sample(event_type: str) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads((SHOP / "samples" / f"{event_type}.json").read_text())
    assert envelope["event_type"] == event_type
    return dict(envelope["data"])


@pytest.mark.parametrize(
    ("event_type", "path", "result"),
    [
        ("order.created", "/reservations", {"order_id": "ORD-00001001", "reservation": 1}),
        ("order.completed", "/invoices", {"order_id": "ORD-00001001", "invoice": 1}),
        ("payment.received", "/bookings", {"payment_id": "pay-77", "booking": 1}),
        ("shipment.dispatched", "/notifications", {"order_id": "ORD-00001001", "notification": 1}),
    ],
)
async def test_each_sample_is_handled(
    back_office: BackOffice, event_type: str, path: str, result: dict[str, Any]
) -> None:
    handled = await handle(event_type, sample(event_type))
    assert (handled.status, handled.result) == ("succeeded", result)
    assert [done["path"] for done in back_office.service.done.values()] == [path]


@pytest.mark.parametrize("event_type", ["order.created", "payment.received"])
@pytest.mark.parametrize("back_office", [["busy"]], indirect=True)
async def test_a_busy_back_office_is_asked_again_when_it_says(
    back_office: BackOffice, event_type: str
) -> None:
    handled = await handle(event_type, sample(event_type))
    assert (handled.status, handled.reason) == ("retrying", "retry_requested")
    assert handled.retry_after is not None
    assert handled.retry_after.total_seconds() == 1
    assert (await handle(event_type, sample(event_type), attempt_number=2)).status == "succeeded"


@pytest.mark.parametrize("event_type", ["order.created", "payment.received"])
@pytest.mark.parametrize("back_office", [["hangs up"]], indirect=True)
async def test_a_back_office_that_hangs_up_is_asked_again(back_office: BackOffice, event_type: str) -> None:
    assert (await handle(event_type, sample(event_type))).status == "retrying"
    assert (await handle(event_type, sample(event_type), attempt_number=2)).status == "succeeded"


@pytest.mark.parametrize("event_type", ["order.created", "payment.received"])
@pytest.mark.parametrize("back_office", [["refuses"]], indirect=True)
async def test_what_the_back_office_does_not_want_is_skipped(
    back_office: BackOffice, event_type: str
) -> None:
    handled = await handle(event_type, sample(event_type))
    assert handled.status == "skipped"
    assert handled.reason is not None
    assert "sold out" in handled.reason


async def test_a_call_that_runs_again_does_nothing_twice(back_office: BackOffice) -> None:
    first = await handle("order.created", ORDER)
    again = await handle("order.created", ORDER, attempt_number=2)
    assert first.result == again.result
    assert len(back_office.service.done) == 1


async def test_the_total_is_exact(back_office: BackOffice) -> None:
    assert OrderCreated.model_validate_json(json.dumps(ORDER)).total == Decimal("64.7")


@pytest.mark.parametrize(
    "change",
    [
        {"order_id": "ORD-1001"},
        {"order_id": "ord-00001001"},
        {"order_id": "ORD-00001001\n"},
        {"order_id": "ORD-" + "\N{ARABIC-INDIC DIGIT ONE}" * 8},
        {"email": "ayse"},
        {"email": "ayse@localhost"},
        {"email": "ayse@example.com\n"},
        {"email": "ayse@@example.com"},
        {"email": "a" * 250 + "@example.com"},
        {"total": 64.71},
        {"total": 64.701},
        {"total": 0, "items": []},
        {"total": -64.7},
        {"total": "NaN"},
        {"currency": "GBP"},
        {"items": []},
        {"items": [{"product": "", "quantity": 1, "price": 64.7}]},
        {"items": [{"product": "Tea", "quantity": 0, "price": 64.7}]},
        {"items": [{"product": "Tea", "quantity": 1}]},
        {
            "items": [
                {"product": "Tea", "quantity": 1, "price": 64.7},
                {"product": "Gift", "quantity": 1, "price": 0},
            ]
        },
    ],
)
async def test_an_order_that_cannot_be_is_dead_at_once(
    back_office: BackOffice, change: dict[str, Any]
) -> None:
    handled = await handle("order.created", ORDER | change)
    assert (handled.status, handled.reason) == ("dead", "payload_invalid")
    assert back_office.service.done == {}


async def test_other_events_are_nobodys(back_office: BackOffice) -> None:
    assert await send(hooks, "order.cancelled", {}) == {}


async def test_one_handler_can_be_tried_by_its_function(back_office: BackOffice) -> None:
    result = await call(hooks, shipment_dispatched, "shipment.dispatched", sample("shipment.dispatched"))
    assert result.status == "succeeded"


def test_the_moods_of_the_stub_follow_its_chances() -> None:
    dice = iter([0.0, 0.29, 0.3, 0.39, 0.4, 0.99])
    answers = moods(0.3, 0.1, chance=lambda: next(dice))
    assert [next(answers) for _ in range(6)] == ["busy", "busy", "hangs up", "hangs up", "works", "works"]
