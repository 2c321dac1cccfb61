from __future__ import annotations

from typing import Any, cast

import pytest

from kanca.errors import DatabaseUnavailable
from kanca.queue.backlog import ATTENTIVE, RELAXED, BacklogGauge
from kanca.storage.ports import QueueStore


class Counted:
    def __init__(self) -> None:
        self.size: int | None = 0
        self.now = 0.0
        self.takes_s = 0.0

    async def backlog(self, limit: int) -> int:
        self.now += self.takes_s
        if self.size is None:
            raise DatabaseUnavailable
        return min(self.size, limit)


def gauge_of(queue: Any, limit: int = 1_000) -> BacklogGauge:
    return BacklogGauge(cast(QueueStore, queue), limit, lambda: queue.now)


async def test_the_door_closes_at_95_per_cent_and_opens_below() -> None:
    queue = Counted()
    gauge = gauge_of(queue)
    assert not gauge.is_closed
    for size, is_closed in ((949, False), (950, True), (5_000, True), (949, False)):
        queue.size = size
        await gauge.run_once()
        assert gauge.is_closed is is_closed
        assert gauge.usage == min(size, 1_000) / 1_000


async def test_it_is_measured_more_often_the_fuller_it_is() -> None:
    queue = Counted()
    gauge = gauge_of(queue)
    assert await gauge.run_once() == RELAXED
    queue.size = 600
    assert await gauge.run_once() == ATTENTIVE


async def test_a_measurement_that_takes_long_is_rare() -> None:
    queue = Counted()
    queue.size, queue.takes_s = 999, 0.1
    assert (await gauge_of(queue).run_once()).total_seconds() == pytest.approx(2)


async def test_without_a_database_the_last_measurement_stands() -> None:
    queue = Counted()
    queue.size = 960
    gauge = gauge_of(queue)
    await gauge.run_once()
    queue.size = None
    with pytest.raises(DatabaseUnavailable):
        await gauge.run_once()
    assert gauge.is_closed
