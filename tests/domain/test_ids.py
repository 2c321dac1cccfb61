"""Ids carry their kind and sort by time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.ids import (
    EVENT,
    HELD_MS,
    RUN,
    WEBHOOK_ID,
    IdFactory,
    derived_id,
    id_at,
    new_endpoint_token,
    new_webhook_id,
    read_id,
    show_id,
    time_of,
)

moments = st.integers(1_577_836_800_000, 7_258_118_400_000).map(
    lambda ms: datetime.fromtimestamp(ms / 1000, UTC)
)


@given(moments)
def test_an_id_is_a_uuid_of_version_7_that_tells_its_millisecond(moment: datetime) -> None:
    made = IdFactory(moment.timestamp).new()
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert abs(time_of(made) - moment) <= timedelta(milliseconds=1)


@given(moments, moments)
def test_ids_sort_by_time(one: datetime, other: datetime) -> None:
    if abs(one - other) > timedelta(milliseconds=1):
        first, second = IdFactory(one.timestamp).new(), IdFactory(other.timestamp).new()
        assert (first < second) == (one < other)
        assert (show_id(EVENT, first) < show_id(EVENT, second)) == (one < other)


def test_ids_of_one_millisecond_sort_in_the_order_in_which_they_were_made() -> None:
    factory = IdFactory(lambda: 1_700_000_000.0)
    made = [factory.new() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {time_of(each) for each in made} == {datetime.fromtimestamp(1_700_000_000, UTC)}


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.integers(-HELD_MS // 2, HELD_MS // 2), max_size=30))
def test_ids_keep_their_order_while_the_clock_is_set_forth_and_back(offsets_ms: list[int]) -> None:
    clock = Clock()
    factory = IdFactory(clock)
    made = []
    for offset_ms in offsets_ms:
        clock.now = 1_700_000_000.0 + offset_ms / 1000
        made += [factory.new() for _ in range(3)]
    assert made == sorted(set(made))


def test_a_clock_that_was_an_hour_ahead_is_followed_back() -> None:
    clock = Clock()
    factory = IdFactory(clock)
    clock.now += 3600
    factory.new()
    clock.now -= 3600
    assert abs(time_of(factory.new()).timestamp() - clock.now) < 1


def test_a_millisecond_that_is_full_goes_over_into_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kanca.domain.ids._RANDOM", (1 << 61) - 1)
    monkeypatch.setattr("os.urandom", lambda size: b"\xff" * size)
    factory = IdFactory(Clock())
    first = factory.new()
    assert (factory.new().int >> 80) == (first.int >> 80) + 1


def test_how_far_apart_ids_of_one_millisecond_are_is_chance() -> None:
    factory = IdFactory(lambda: 1_700_000_000.0)
    made = [factory.new().int for _ in range(100)]
    assert len({after - before for before, after in pairwise(made)}) == 99


def test_the_shard_number_is_zero() -> None:
    assert all((IdFactory().new().int >> 64) & 0xFFF == 0 for _ in range(100))


def test_a_correction_moves_ids_to_the_databases_time() -> None:
    factory = IdFactory(lambda: 1_700_000_000.0)
    factory.correction_s = 3600
    assert time_of(factory.new()) == datetime.fromtimestamp(1_700_003_600, UTC)


def test_a_derived_id_is_the_same_every_time_and_differs_by_name() -> None:
    parent = IdFactory().new()
    assert derived_id(parent, "handler:a") == derived_id(parent, "handler:a")
    assert derived_id(parent, "handler:a") != derived_id(parent, "handler:b")
    assert derived_id(parent, "a", "b") != derived_id(parent, "ab")
    assert time_of(derived_id(parent, "handler:a")) == time_of(parent)


@given(st.uuids())
def test_what_is_shown_can_be_read_back(identifier: UUID) -> None:
    assert read_id(EVENT, show_id(EVENT, identifier)) == identifier


@given(st.text())
def test_anything_else_is_no_id(text: str) -> None:
    assert read_id(RUN, text) is None


def test_an_id_of_another_kind_is_no_id() -> None:
    assert read_id(RUN, show_id(EVENT, IdFactory().new())) is None


def test_the_bound_of_a_moment_is_not_above_any_id_of_it() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert all(id_at(moment) <= IdFactory(moment.timestamp).new() for _ in range(100))


def test_addresses_and_tokens_have_their_published_form() -> None:
    assert WEBHOOK_ID.fullmatch(new_webhook_id())
    token = new_endpoint_token()
    assert token.startswith("wht_")
    assert len(bytes.fromhex(token[4:])) == 32
