"""Which worker claims from which lanes of deliveries, so that limits and connections of a receiver are in one place.

By rendezvous hashing: each lane belongs to the worker for which the hash of both is the highest. When a worker comes or
goes, only its own lanes change hands. Workers that see each other a moment late may claim from the same lane meanwhile;
that is safe, for the queue gives a task to one of them.
"""

from __future__ import annotations

from collections.abc import Collection

from kanca.domain.task import DELIVERY_LANES


def lanes_of(worker: int, workers: Collection[int]) -> list[int]:
    """The lanes of ``worker`` among the living ``workers`` (itself included, whether it is named or not). Pure."""
    others = {*workers, worker}
    return [
        lane for lane in DELIVERY_LANES if max(others, key=lambda each: (_score(lane, each), each)) == worker
    ]


def _score(lane: int, worker: int) -> int:
    """A hash of both (of the kind of SplitMix64: neighbours in number are not neighbours in score)."""
    mixed = (lane << 32 | worker) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return mixed ^ mixed >> 31
