import json
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter

from kanca.domain.event import StoredEvent
from kanca.handlers.payloads import MOST_PROBLEMS, PayloadInvalid, read_payload

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


def event(body: bytes, content_type: str = "application/json") -> StoredEvent:
    request = json.dumps({"headers": [["content-type", content_type]]}).encode()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return StoredEvent(UUID(int=1), 100, "acme", "a.b", now, None, "cor", request, body, None)


class Order(BaseModel):
    order_id: str
    total: Decimal


class StrictOrder(BaseModel):
    model_config = ConfigDict(strict=True)
    day: date


def test_an_envelope_gives_its_data() -> None:
    assert read_payload(event(b'{"event_type": "a", "data": {"x": 1}}'), None) == {"x": 1}


def test_any_other_body_is_the_data() -> None:
    assert read_payload(event(b'{"event_type": "a", "data": {"x": 1}, "more": 2}'), None)["more"] == 2
    assert read_payload(event(b"[1, 2]"), None) == [1, 2]


def test_the_data_are_read_as_the_model() -> None:
    body = b'{"event_type": "order.created", "data": {"order_id": "ORD-1", "total": "19.90"}}'
    assert read_payload(event(body), TypeAdapter(Order)) == Order(order_id="ORD-1", total=Decimal("19.90"))


def test_a_strict_model_takes_what_json_can_say() -> None:
    adapter = TypeAdapter(StrictOrder)
    assert read_payload(event(b'{"day": "2026-01-02"}'), adapter).day == date(2026, 1, 2)
    with pytest.raises(PayloadInvalid):
        read_payload(event(b'{"day": 20260102}'), adapter)


def test_a_misfit_names_every_place_and_no_value() -> None:
    with pytest.raises(PayloadInvalid) as caught:
        read_payload(event(b'{"total": "secret-value"}'), TypeAdapter(Order))
    assert [problem["loc"] for problem in caught.value.problems] == [("order_id",), ("total",)]
    assert str(caught.value) == "order_id: Field required (and 1 more)"
    assert "secret-value" not in str(caught.value.problems)


def test_a_misfit_of_a_thousand_places_is_cut() -> None:
    with pytest.raises(PayloadInvalid) as caught:
        read_payload(event(b"[" + b",".join([b'"x"'] * 1000) + b"]"), TypeAdapter(list[int]))
    assert len(caught.value.problems) == MOST_PROBLEMS


@pytest.mark.parametrize("body", [b"", b"{", b"order=1&total=2", b"<order/>", b"[" * 100_000])
def test_a_body_that_is_not_the_json_it_says_is_its_text(body: bytes) -> None:
    assert read_payload(event(body), None) == body.decode()


def test_a_form_fits_a_model() -> None:
    form = event(b"order_id=ORD-1&total=19.90", "application/x-www-form-urlencoded")
    assert read_payload(form, TypeAdapter(Order)) == Order(order_id="ORD-1", total=Decimal("19.90"))
    with pytest.raises(PayloadInvalid):
        read_payload(event(b"order_id=ORD-1", "application/x-www-form-urlencoded"), TypeAdapter(Order))


def test_a_binary_body_has_no_data() -> None:
    assert read_payload(event(b"\xff", "image/png"), None) is None


def test_text_that_utf_8_cannot_hold_reaches_the_model() -> None:
    assert read_payload(event(b'["\\ud800"]'), TypeAdapter(list[object])) == ["\ud800"]


@given(json_values)
def test_a_model_that_takes_anything_gets_what_the_body_says(value: object) -> None:
    body = json.dumps({"event_type": "a", "data": {"value": value}}).encode()
    assert read_payload(event(body), TypeAdapter(dict[str, object])) == {"value": value}
