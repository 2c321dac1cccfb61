"""How a worker's room is shared out, so that every target gets its turn. Pure.

Tasks of one target share a lane. A claim asks all lanes, those first that were served the longest time ago, each for
its share, so that a burst in one lane delays the others by one claim at most. And no lane may fill a worker: hanging
work of one target leaves a quarter of what was free to the others, and the last slot to one that has none.

Within a lane, tasks come in the order of their positions. A claim does not look below a lane's floor, for while a long
transaction is open anywhere in the database, all tasks that were ever finished still lie there and would be looked at:
after 90 000 of them a claim took 38 ms instead of 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kanca.storage.ports import LaneAsk

FLOOR_MARGIN_US = 1_000_000
"""A task may become visible so much later than its position says: commits take their time, clocks differ."""

SMALLEST_SHARE = 4
"""A lane that gave less than its share is empty; with a share of one, each lone task would seem the first of many."""


@dataclass(slots=True)
class Lane:
    """What a worker knows of a lane."""

    number: int
    in_hand: int = 0
    """Tasks of it that the worker holds."""
    top: int = 0
    """The highest position that it claimed."""
    is_full: bool = False
    """The lane gave all that it was asked for, so it has more."""
    served: int = 0
    """When it last gave something, in claims."""


def lane_room(slots: int, in_hand: int, of_lane: int) -> int:
    """How many more tasks a lane may have in hand, where ``of_lane`` of the ``in_hand`` are its own.

    A lane may hold three times as many slots as stay free: alone 7 of 10; a second one then 2; the last slot is for a
    lane that has none.
    """
    free = slots - in_hand
    if free <= 0:
        return 0
    if of_lane == 0:
        return max(1, 3 * free // 4)
    return max(0, (3 * free - of_lane) // 4)


def floor_of(lane: Lane, now_us: int) -> int:
    """The position below which a claim need not look.

    While a lane has more, everything up to what was claimed last is gone. One that was emptied may be given tasks for
    the present, which lies behind where a burst with its spaced positions has led.
    """
    return (lane.top if lane.is_full else min(lane.top, now_us)) - FLOOR_MARGIN_US


def plan_asks(
    lanes: Iterable[Lane], slots: int, in_hand: int, now_us: int, *, is_sweep: bool
) -> tuple[int, list[LaneAsk]]:
    """Give how many tasks to claim, and what to ask of which lane. ``is_sweep``: look below the floors."""
    free = slots - in_hand
    # The last slot is only taken when it is the last, and then by a lane that has nothing in hand.
    limit = max(1, free - 1)
    able = [lane for lane in lanes if lane_room(slots, in_hand, lane.in_hand) > 0]
    able.sort(key=lambda lane: lane.served)
    full = sum(lane.is_full for lane in able)
    share, larger_share = max(_parts(limit, len(able)), SMALLEST_SHARE), _parts(limit, full)
    return limit, [
        LaneAsk(
            lane.number,
            0 if is_sweep else floor_of(lane, now_us),
            min(lane_room(slots, in_hand, lane.in_hand), max(larger_share, share) if lane.is_full else share),
        )
        for lane in able
    ]


def note_claimed(
    lanes: Mapping[int, Lane],
    asks: Iterable[LaneAsk],
    claimed: Sequence[tuple[int, int]],
    limit: int,
    turn: int,
) -> None:
    """Remember what a claim of up to ``limit`` gave: ``claimed`` are lanes and positions; ``turn`` counts claims."""
    counts: dict[int, int] = {}
    for number, position in claimed:
        counts[number] = counts.get(number, 0) + 1
        lane = lanes[number]
        lane.top = max(lane.top, position)
        lane.served = turn
    for ask in asks:
        given = counts.get(ask.lane, 0)
        lane = lanes[ask.lane]
        lane.in_hand += given
        if given >= ask.share:
            lane.is_full = True
        elif len(claimed) < limit:
            lane.is_full = False  # else it may not have been asked for all of its share


def _parts(whole: int, count: int) -> int:
    return -(-whole // count) if count else 0
