from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kanca.errors import ExpressionFailed
from kanca.expressions.results import JsonValue, to_json


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (None, None),
        (True, True),
        (2**64 - 1, 2**64 - 1),
        (1.5, 1.5),
        ("é", "é"),
        ([1, [b"\xff\x00"]], [1, ["/wA="]]),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}),
        ({7: "x", "z": 2}, {"7": "x", "z": 2}),
        ({False: 1}, {"false": 1}),
        (datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), "2020-01-02T03:04:05Z"),
        (datetime(2020, 1, 2, 3, 4, 5, 500000, tzinfo=UTC), "2020-01-02T03:04:05.500000Z"),
        (datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-23))), "9999-12-31T00:00:00-23:00"),
        (timedelta(hours=1, minutes=30), "5400s"),
        (timedelta(seconds=-1.5), "-1.5s"),
        (timedelta(microseconds=1), "0.000001s"),
        (timedelta(0), "0s"),
    ],
)
def test_values_become_json(value: object, json: JsonValue) -> None:
    assert to_json(value) == json


def test_the_keys_of_a_map_come_out_sorted() -> None:
    assert list(to_json({"b": 1, "c": 2, "a": 3})) == ["a", "b", "c"]  # type: ignore[arg-type]  # it is a map


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")], {1: 1, "1": 2}, object()])
def test_what_json_does_not_have_is_an_error(value: object) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        to_json(value)
    assert caught.value.facts["reason"] == "bad_result"
