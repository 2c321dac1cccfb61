from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kanca.errors import ExpressionFailed
from kanca.expressions.inputs import needs_of, take_inputs
from kanca.expressions.parser import parse
from kanca.expressions.weights import Budget, TooExpensive

EVENT = {"type": "order.created", "data": {"total": 5, "items": [{"sku": "a"}, {"sku": "b"}], "note": "x"}}
SECOND_NS = 1_000_000_000


def taken(source: str, event: object = EVENT) -> object:
    needs = needs_of(parse(source), frozenset({"event"}))
    return take_inputs(needs, {"event": event}, Budget(SECOND_NS))[0]["event"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("event.data.total > 1", {"data": {"total": 5}}),
        ("event['data']['total'] > 1", {"data": {"total": 5}}),
        ("event.data.total > 1 && event.type == 'x'", {"data": {"total": 5}, "type": "order.created"}),
        ("event.data.missing == 1", {"data": {}}),
        ("has(event.data) && event.data.total > 1", {"data": {"total": 5}}),
        ("has(event.data.items)", {"data": {"items": []}}),
        ("event.type.length == 1", {"type": "order.created"}),
        ("event.data.items.sku == 1", {"data": {"items": []}}),
        ("event.data.items.map(event, event.sku)", {"data": {"items": EVENT["data"]["items"]}}),  # type: ignore[index]
        ("event[event.type]", EVENT),
        ("event", EVENT),
        ("event.data.total == 1 || event.data == {}", {"data": EVENT["data"]}),
    ],
)
def test_only_what_is_referred_to_is_passed_on(source: str, expected: object) -> None:
    assert taken(source) == expected


def test_a_variable_that_is_missing_is_an_error() -> None:
    with pytest.raises(ExpressionFailed, match="'event' has no value here"):
        take_inputs(needs_of(parse("event"), frozenset({"event"})), {}, Budget(SECOND_NS))


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (2**64, "event.a.1 is a whole number of more than 64 bits"),
        (-(2**63) - 1, "event.a.1 is a whole number of more than 64 bits"),
        ("\ud800", "event.a.1 has half of a character (a lone surrogate)"),
        ({"\udfff": 1}, "event.a.1.? has half of a character (a lone surrogate)"),
        ({1: 2}, "event.a.1.1 is the key of a map, and no text"),
        ({1, 2}, "event.a.1 is of type set, which expressions do not know"),
        (datetime(2020, 1, 1), "event.a.1 is of type datetime, which expressions do not know"),  # noqa: DTZ001 — naive is the point
        (nested(100), "event.a.1.0.0.0.0.0.… is nested more than 64 deep"),
    ],
)
def test_a_value_that_expressions_cannot_hold_is_named(value: object, detail: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        taken("event.a", {"a": [0, value]})
    assert caught.value.detail == detail


def test_what_is_not_referred_to_may_be_anything() -> None:
    event = {"a": 1, "b": 2**100, "c": "\ud800", "d": nested(100_000)}
    assert taken("event.a", event) == {"a": 1}


def test_times_and_bytes_may_be_passed_on() -> None:
    event = {"a": datetime(2020, 1, 1, tzinfo=UTC), "b": timedelta(seconds=1), "c": b"x", "d": (1, 2)}
    assert taken("event", event) == event


def test_a_huge_list_is_refused_before_it_is_looked_at() -> None:
    class Unread(list[object]):
        def __iter__(self) -> object:  # type: ignore[override]  # reading it at all is the failure
            raise AssertionError("the list was read")

    needs = needs_of(parse("event"), frozenset({"event"}))
    with pytest.raises(TooExpensive):
        take_inputs(needs, {"event": Unread([1] * 1_000_000)}, Budget(50_000_000))
