"""Requests per minute."""

from __future__ import annotations

from kanca.ingest.rate_limit import BoundedMemory, RateLimiter, per_minute
from tests.ingest.site import Clock


async def _refusals(limiter: RateLimiter, amount: int, requests: int, client: str = "c") -> list[bool]:
    limit = per_minute(amount)
    assert limit is not None
    return [await limiter.refuse(limit, "wh_1", client) is not None for _ in range(requests)]


def test_no_limit_is_none() -> None:
    assert per_minute(0) is None


async def test_so_many_requests_a_minute_pass_and_no_more() -> None:
    clock = Clock()
    limiter = RateLimiter(now=clock)
    assert await _refusals(limiter, 3, 5) == [False] * 3 + [True] * 2
    clock.now += 59.9
    assert await _refusals(limiter, 3, 1) == [True]
    clock.now += 0.1
    assert await _refusals(limiter, 3, 4) == [False] * 3 + [True]


async def test_clients_and_endpoints_are_counted_apart() -> None:
    limiter = RateLimiter(now=Clock())
    limit = per_minute(1)
    assert limit is not None
    for endpoint, client in (("wh_1", "a"), ("wh_1", "b"), ("wh_2", "a")):
        assert await limiter.refuse(limit, endpoint, client) is None
    assert await limiter.refuse(limit, "wh_1", "a") is not None


async def test_a_changed_limit_counts_at_once() -> None:
    limiter = RateLimiter(now=Clock())
    assert await _refusals(limiter, 1, 2) == [False, True]
    assert await _refusals(limiter, 5, 1) == [False]


async def test_memory_is_bounded_whatever_comes_from_how_many_addresses() -> None:
    clock = Clock()
    memory = BoundedMemory(clock, max_counters=100)
    limiter = RateLimiter(memory, clock)
    for number in range(1000):
        await _refusals(limiter, 1, 1, str(number))
    assert await memory.reset() == 100
    assert await memory.reset() == 0


async def test_a_window_that_is_over_makes_room_before_one_that_is_not() -> None:
    clock = Clock()
    memory = BoundedMemory(clock, max_counters=2)
    await memory.incr("old", 60)
    clock.now += 50
    await memory.incr("young", 60)
    clock.now += 20
    assert await memory.incr("old", 60) == 1
    await memory.incr("new", 60)
    assert (await memory.get("young"), await memory.get("old"), await memory.get("new")) == (0, 1, 1)


async def test_a_counter_can_be_read_and_cleared() -> None:
    clock = Clock()
    memory = BoundedMemory(clock)
    assert await memory.check()
    assert await memory.incr("a", 60, 3) == 3
    assert (await memory.get("a"), await memory.get_expiry("a")) == (3, clock.now + 60)
    await memory.clear("a")
    assert (await memory.get("a"), await memory.get_expiry("a")) == (0, clock.now)
