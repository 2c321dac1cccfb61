from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from kanca import Kanca
from kanca.domain.ids import EVENT, show_id
from kanca.errors import InvalidEvent, InvalidInput
from kanca.storage.ports import Database
from tests.outbound.outbox.moving import look, move
from tests.outbound.outbox.places import CALLERS, Place

ORDER = {"id": "ö-1", "note": "a\x00b 💶", "total": 12345678901234567890}


@pytest.fixture
def opened(place: Place, name: str) -> Any:
    return CALLERS[place.kind][name](place)


every_connection = pytest.mark.parametrize(
    ("empty_place", "name"),
    [(kind, name) for kind, callers in CALLERS.items() for name in callers],
    indirect=["empty_place"],
)


@every_connection
async def test_a_rollback_publishes_nothing(place: Place, opened: Any, own: Database, hooks: Kanca) -> None:
    async with opened as caller:
        await caller.publish(hooks, "order.created", ORDER)
        await caller.end(commit=False)

    assert await move(place, own) == []


@every_connection
async def test_a_commit_publishes_once_under_the_id_that_was_given(
    place: Place, opened: Any, own: Database, hooks: Kanca
) -> None:
    async with opened as caller:
        identifier = await caller.publish(
            hooks, "order.created", ORDER, event_id="order-1", tenant="acme", correlation_id="c-1"
        )
        assert (await look(place))["waiting"] == 0, "not before the commit"
        await caller.end(commit=True)

    await move(place, own)
    (event,) = await move(place, own)

    assert (await look(place))["waiting"] == 0
    assert show_id(EVENT, event.id) == identifier
    assert (event.endpoint, event.type, event.tenant) == (0, "order.created", "acme")
    assert (event.source_event_id, event.correlation_id) == ("order-1", "c-1")
    assert json.loads(event.body) == {"event_type": "order.created", "data": ORDER}
    assert json.loads(event.request)["authenticated"] is True
    assert abs((datetime.now(UTC) - event.received_at).total_seconds()) < 60


@every_connection
async def test_the_other_way_of_publishing_says_which_is_right(
    place: Place, opened: Any, hooks: Kanca
) -> None:
    async with opened as caller:
        if caller.is_async:
            with pytest.raises(InvalidInput, match="use `await publish"):
                hooks.publish_sync("order.created", {}, connection=caller.connection)
        else:
            with pytest.raises(InvalidInput, match="use `publish_sync`"):
                await hooks.publish("order.created", {}, connection=caller.connection)


async def test_what_is_no_connection_is_refused(hooks: Kanca) -> None:
    with pytest.raises(InvalidInput, match=r"cannot be a builtins\.dict"):
        await hooks.publish("order.created", {}, connection={})


@dataclass
class Line:
    price: Decimal
    at: datetime


class Order(BaseModel):
    total: Decimal
    lines: list[str]


@pytest.mark.parametrize("empty_place", ["sqlite"], indirect=True)
async def test_a_payload_is_written_as_json(place: Place, own: Database, hooks: Kanca) -> None:
    async with CALLERS["sqlite"]["sqlite3"](place) as caller:
        for payload in (
            Order(total=Decimal("1.10"), lines=["a"]),
            {"line": Line(Decimal("0.30"), datetime(2026, 1, 2, tzinfo=UTC))},
            b'{"b": 1.00, "a": 1}',
        ):
            await caller.publish(hooks, "order.created", payload)
        await caller.end(commit=True)

    bodies = [event.body.partition(b'"data":')[2] for event in await move(place, own)]

    assert sorted(bodies) == sorted(
        [
            b'{"total":"1.10","lines":["a"]}}',
            b'{"line":{"price":"0.30","at":"2026-01-02T00:00:00Z"}}}',
            b'{"b": 1.00, "a": 1}}',
        ]
    )


@pytest.mark.parametrize(
    ("event_type", "payload", "about"),
    [
        ("", {}, {}),
        ("x" * 257, {}, {}),
        ("a\0b", {}, {}),
        ("order", object(), {}),
        ("order", b"{", {}),
        ("order", {}, {"tenant": ""}),
        ("order", {}, {"event_id": "x" * 513}),
        ("order", {}, {"correlation_id": "\ud800"}),
    ],
)
@pytest.mark.parametrize("empty_place", ["sqlite"], indirect=True)
async def test_what_could_not_be_published_is_refused_at_once(
    place: Place, hooks: Kanca, event_type: str, payload: Any, about: dict[str, Any]
) -> None:
    async with CALLERS["sqlite"]["sqlite3"](place) as caller:
        with pytest.raises(InvalidEvent):
            await caller.publish(hooks, event_type, payload, **about)
        await caller.end(commit=True)
    assert (await look(place))["waiting"] == 0
