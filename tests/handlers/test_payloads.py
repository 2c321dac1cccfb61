import json
from datetime import date
from decimal import Decimal
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, TypeAdapter

from kanca.handlers.payloads import MOST_PROBLEMS, PayloadInvalid, read_body, read_payload

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


class Order(BaseModel):
    order_id: str
    total: Decimal


class StrictOrder(BaseModel):
    model_config = ConfigDict(strict=True)
    day: date


def test_an_envelope_gives_its_data() -> None:
    assert read_payload(b'{"event_type": "a", "data": {"x": 1}}', None) == {"x": 1}


def test_any_other_body_is_the_data() -> None:
    assert read_payload(b'{"event_type": "a", "data": {"x": 1}, "more": 2}', None)["more"] == 2
    assert read_payload(b"[1, 2]", None) == [1, 2]


def test_the_data_are_read_as_the_model() -> None:
    body = b'{"event_type": "order.created", "data": {"order_id": "ORD-1", "total": "19.90"}}'
    assert read_payload(body, TypeAdapter(Order)) == Order(order_id="ORD-1", total=Decimal("19.90"))


def test_a_strict_model_takes_what_json_can_say() -> None:
    adapter = TypeAdapter(StrictOrder)
    assert read_payload(b'{"day": "2026-01-02"}', adapter).day == date(2026, 1, 2)
    with pytest.raises(PayloadInvalid):
        read_payload(b'{"day": 20260102}', adapter)


def test_a_misfit_names_every_place_and_no_value() -> None:
    with pytest.raises(PayloadInvalid) as caught:
        read_payload(b'{"total": "secret-value"}', TypeAdapter(Order))
    assert [problem["loc"] for problem in caught.value.problems] == [("order_id",), ("total",)]
    assert str(caught.value) == "order_id: Field required (and 1 more)"
    assert "secret-value" not in str(caught.value.problems)


def test_a_misfit_of_a_thousand_places_is_cut() -> None:
    with pytest.raises(PayloadInvalid) as caught:
        read_payload(b"[" + b",".join([b'"x"'] * 1000) + b"]", TypeAdapter(list[int]))
    assert len(caught.value.problems) == MOST_PROBLEMS


def test_json_that_fast_parsers_refuse_is_read() -> None:
    assert read_body(b'"\\ud800"') == "\ud800"
    assert isnan(read_body(b"NaN"))
    assert read_body(b"1e999") == float("inf")
    assert read_body(b"123456789012345678901234567890") == 123456789012345678901234567890
    assert read_body(b'"\\u0000"') == "\x00"
    assert read_body(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize("body", [b"", b"{", b"order=1&total=2", b"<order/>", b"[" * 100_000])
def test_a_body_that_is_not_json_is_its_text(body: bytes) -> None:
    assert read_payload(body, None) == body.decode()


def test_a_body_that_is_not_even_text_is_its_bytes() -> None:
    assert read_payload(b"\xff", None) == b"\xff"
    assert read_payload(b"\xff", TypeAdapter(bytes)) == b"\xff"


def test_a_form_does_not_fit_a_model() -> None:
    with pytest.raises(PayloadInvalid):
        read_payload(b"order=1", TypeAdapter(Order))


def test_text_that_utf_8_cannot_hold_reaches_the_model() -> None:
    assert read_payload(b'["\\ud800"]', TypeAdapter(list[object])) == ["\ud800"]


@given(json_values)
def test_a_model_that_takes_anything_gets_what_the_body_says(value: object) -> None:
    body = json.dumps({"event_type": "a", "data": {"value": value}}).encode()
    assert read_payload(body, TypeAdapter(dict[str, object])) == {"value": value}
