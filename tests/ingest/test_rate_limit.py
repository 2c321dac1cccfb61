"""Requests per minute, counted by one process."""

from __future__ import annotations

from kanca.ingest.rate_limit import MemoryCounters, RateLimiter
from tests.ingest.site import Clock


async def _refusals(limiter: RateLimiter, amount: int, requests: int, client: str = "c") -> list[bool]:
    return [await limiter.refuse(amount, "wh_1", client) is not None for _ in range(requests)]


async def test_so_many_requests_a_minute_pass_and_no_more() -> None:
    clock = Clock()
    limiter = RateLimiter(MemoryCounters(clock))
    assert await _refusals(limiter, 3, 5) == [False] * 3 + [True] * 2
    clock.now += 59.9
    assert await _refusals(limiter, 3, 1) == [True]
    clock.now += 0.1
    assert await _refusals(limiter, 3, 4) == [False] * 3 + [True]


async def test_nobody_is_refused_until_a_time_that_a_wrong_clock_said() -> None:
    clock = Clock()
    limiter = RateLimiter(MemoryCounters(clock))
    clock.now += 3_600
    assert await _refusals(limiter, 3, 4) == [False] * 3 + [True]
    clock.now -= 3_600
    assert await _refusals(limiter, 3, 4) == [False] * 3 + [True]


async def test_clients_and_endpoints_are_counted_apart() -> None:
    limiter = RateLimiter(MemoryCounters(Clock()))
    for endpoint, client in (("wh_1", "a"), ("wh_1", "b"), ("wh_2", "a")):
        assert await limiter.refuse(1, endpoint, client) is None
    assert await limiter.refuse(1, "wh_1", "a") is not None


async def test_a_changed_limit_counts_at_once() -> None:
    limiter = RateLimiter(MemoryCounters(Clock()))
    assert await _refusals(limiter, 1, 2) == [False, True]
    assert await _refusals(limiter, 5, 1) == [False]


async def test_memory_is_bounded_whatever_comes_from_how_many_addresses() -> None:
    memory = MemoryCounters(Clock(), max_counters=100)
    limiter = RateLimiter(memory)
    for number in range(1000):
        await _refusals(limiter, 1, 1, str(number))
    assert len(memory) == 100


def test_a_window_that_is_over_makes_room_before_one_that_is_not() -> None:
    clock = Clock()
    memory = MemoryCounters(clock, max_counters=2)
    memory.hit("old")
    clock.now += 50
    memory.hit("young")
    clock.now += 20
    assert memory.hit("old") == (1, 60)
    memory.hit("new")
    assert memory.hit("old").hits == 2
    assert memory.hit("young") == (1, 60), "it was forgotten for the new one"
