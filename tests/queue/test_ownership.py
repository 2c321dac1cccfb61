"""Each lane of deliveries belongs to one worker, and few change hands when workers come and go."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.task import DELIVERY_LANES
from kanca.queue.ownership import lanes_of

workers = st.sets(st.integers(1, 2**31 - 1), min_size=1, max_size=12)


def owners(alive: set[int]) -> dict[int, list[int]]:
    """Who takes each lane, when each worker sees the same others."""
    taken: dict[int, list[int]] = {lane: [] for lane in DELIVERY_LANES}
    for worker in alive:
        for lane in lanes_of(worker, alive):
            taken[lane].append(worker)
    return taken


def test_a_worker_that_is_alone_has_all_lanes_whether_it_is_named_or_not() -> None:
    assert lanes_of(7, []) == lanes_of(7, [7]) == list(DELIVERY_LANES)


@given(workers)
def test_every_lane_has_one_owner(alive: set[int]) -> None:
    assert {len(each) for each in owners(alive).values()} == {1}


@given(workers, st.data())
def test_when_a_worker_leaves_only_its_lanes_change_hands(alive: set[int], data: st.DataObject) -> None:
    leaves = data.draw(st.sampled_from(sorted(alive)))
    before, after = owners(alive), owners(alive - {leaves}) if len(alive) > 1 else {}
    for lane, now in after.items():
        assert now == before[lane] or before[lane] == [leaves]


@given(workers, st.integers(1, 2**31 - 1))
def test_a_worker_that_others_do_not_see_yet_takes_nothing_that_it_would_not_keep(
    alive: set[int], comes: int
) -> None:
    """What it sees first is all that counts: the others give the same lanes up when they see it."""
    mine = set(lanes_of(comes, alive))
    for other in alive - {comes}:
        assert mine.isdisjoint(lanes_of(other, alive | {comes}))


def test_neighbours_in_number_share_the_lanes_about_evenly() -> None:
    for first in (1, 40, 1_000, 123_456):
        alive = set(range(first, first + 4))
        shares = Counter(owner for (owner,) in owners(alive).values())
        assert set(shares) == alive
        assert min(shares.values()) >= 15
        assert max(shares.values()) <= 55
