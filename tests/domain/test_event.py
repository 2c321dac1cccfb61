"""What a body is read as."""

from __future__ import annotations

import pytest

from kanca.domain.event import data_of, is_envelope


@pytest.mark.parametrize(
    "body",
    [
        {"event_type": "a.b", "data": {}},
        {"event_type": "a.b"},
        {
            "event_type": "a.b",
            "data": {"x": 1},
            "event_id": "1",
            "timestamp": "t",
            "source": "s",
            "correlation_id": "c",
        },
    ],
)
def test_these_are_envelopes(body: object) -> None:
    assert is_envelope(body)


@pytest.mark.parametrize(
    "body",
    [
        {"event_type": 1, "data": {}},
        {"event_type": "a", "data": []},
        {"event_type": "a", "data": None},
        {"event_type": "a", "data": {}, "extra": 1},
        {"data": {}},
        [],
        "event_type",
        None,
        3,
    ],
)
def test_these_are_not(body: object) -> None:
    assert not is_envelope(body)


def test_the_data_is_the_envelopes_data_or_the_whole_body() -> None:
    assert data_of({"event_type": "a", "data": {"x": 1}}) == {"x": 1}
    assert data_of({"event_type": "a"}) == {}
    assert data_of({"id": "evt_1", "type": "charge"}) == {"id": "evt_1", "type": "charge"}
    assert data_of([1, 2]) == [1, 2]
