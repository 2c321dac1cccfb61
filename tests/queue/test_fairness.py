from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kanca.queue.fairness import (
    FLOOR_MARGIN_US,
    SMALLEST_SHARE,
    Lane,
    floor_of,
    lane_room,
    note_claimed,
    plan_asks,
)
from kanca.storage.ports import LaneAsk

NOW = 1_800_000_000_000_000


def test_one_lane_never_takes_all_slots() -> None:
    assert lane_room(10, 0, 0) == 7
    assert lane_room(10, 7, 7) == 0
    assert lane_room(10, 7, 0) == 2
    assert lane_room(10, 9, 2) == 0
    assert lane_room(10, 9, 0) == 1
    assert lane_room(10, 10, 0) == 0


def test_a_worker_with_one_slot_works() -> None:
    assert lane_room(1, 0, 0) == 1


@given(slots=st.integers(1, 500), in_hand=st.integers(0, 500), part=st.floats(0, 1))
def test_the_room_of_a_lane_is_there_and_leaves_some(slots: int, in_hand: int, part: float) -> None:
    of_lane = int(min(in_hand, slots) * part)
    room = lane_room(slots, in_hand, of_lane)
    assert 0 <= room <= max(slots - in_hand, 0)
    if room and slots > 1 and of_lane + room > 1:
        assert slots - in_hand - room >= 1


@given(slots=st.integers(2, 64))
def test_hanging_lanes_leave_the_last_slots_to_others(slots: int) -> None:
    """Lane after lane hangs with all that it gets; each of several finds room all the same."""
    in_hand = served = 0
    while in_hand < slots:
        room = lane_room(slots, in_hand, 0)
        assert room >= 1
        in_hand += room
        served += 1
    assert served >= 2


def test_the_floor_of_an_untouched_lane_is_below_everything() -> None:
    assert floor_of(Lane(3), NOW) < 0


def test_a_lane_that_has_more_is_looked_at_from_where_the_last_claim_ended() -> None:
    ahead = NOW + 400_000_000
    assert floor_of(Lane(3, top=ahead, is_full=True), NOW) == ahead - FLOOR_MARGIN_US


def test_a_lane_that_was_emptied_ahead_of_time_is_looked_at_from_the_present() -> None:
    assert floor_of(Lane(3, top=NOW + 400_000_000), NOW) == NOW - FLOOR_MARGIN_US
    assert floor_of(Lane(3, top=NOW - 5), NOW) == NOW - 5 - FLOOR_MARGIN_US


def test_lanes_that_were_served_long_ago_come_first() -> None:
    lanes = [Lane(0, served=9), Lane(1, served=2), Lane(2), Lane(3, served=5)]
    _, asks = plan_asks(lanes, 100, 0, NOW, is_sweep=False)
    assert [ask.lane for ask in asks] == [2, 1, 3, 0]


def test_lanes_that_have_more_share_the_room_and_the_others_are_asked_for_a_little() -> None:
    lanes = [Lane(0, is_full=True), Lane(1, is_full=True), *map(Lane, range(2, 64))]
    limit, asks = plan_asks(lanes, 101, 0, NOW, is_sweep=False)
    assert limit == 100
    shares = {ask.lane: ask.share for ask in asks}
    assert (shares[0], shares[1], shares[2]) == (50, 50, SMALLEST_SHARE)


def test_a_lane_without_room_is_not_asked() -> None:
    lanes = [Lane(0, in_hand=7), Lane(1)]
    _, asks = plan_asks(lanes, 10, 7, NOW, is_sweep=False)
    assert [ask.lane for ask in asks] == [1]


def test_the_last_slot_is_for_a_lane_that_has_nothing_in_hand() -> None:
    limit, asks = plan_asks([Lane(0, in_hand=9), Lane(1)], 10, 9, NOW, is_sweep=False)
    assert (limit, [ask.lane for ask in asks]) == (1, [1])
    assert plan_asks([Lane(0, in_hand=9)], 10, 9, NOW, is_sweep=False)[1] == []


def test_a_sweep_looks_at_everything() -> None:
    _, asks = plan_asks([Lane(0, top=NOW, is_full=True)], 10, 0, NOW, is_sweep=True)
    assert asks[0].floor == 0


def test_what_a_claim_gave_is_remembered() -> None:
    lanes = [Lane(0), Lane(1, is_full=True), Lane(2, is_full=True)]
    asks = [LaneAsk(0, 0, 2), LaneAsk(1, 0, 2), LaneAsk(2, 0, 2)]
    note_claimed(dict(enumerate(lanes)), asks, [(0, 5), (0, 9), (1, 7)], 10, turn=4)
    assert [(lane.in_hand, lane.top, lane.is_full, lane.served) for lane in lanes] == [
        (2, 9, True, 4),
        (1, 7, False, 4),
        (0, 0, False, 0),
    ]


def test_a_lane_behind_the_limit_may_have_more_still() -> None:
    lanes = [Lane(0), Lane(1, is_full=True), Lane(2, is_full=True)]
    asks = [LaneAsk(0, 0, 2), LaneAsk(1, 0, 2), LaneAsk(2, 0, 2)]
    note_claimed(dict(enumerate(lanes)), asks, [(0, 5), (0, 9), (1, 7)], 3, turn=1)
    assert [lane.is_full for lane in lanes] == [True, True, True]
