from __future__ import annotations

from collections import Counter

import pytest

from kanca.api import failed_attempts
from kanca.api.failed_attempts import MOST_IN_ALL, MOST_OF_CLIENT, WINDOW_S, FailedAttempts, counted_as
from kanca.ingest.rate_limit import Count


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> FailedAttempts:
    return FailedAttempts(clock)


def fail(attempts: FailedAttempts, client: str, times: int = 1) -> None:
    for _ in range(times):
        attempts.failed(client)


def test_an_address_may_fail_so_often_and_then_waits_for_the_rest_of_its_minute(
    attempts: FailedAttempts, clock: Clock
) -> None:
    fail(attempts, "192.0.2.1", MOST_OF_CLIENT - 1)
    assert attempts.wait_s("192.0.2.1") is None
    clock.now += 10.5

    fail(attempts, "192.0.2.1")

    assert attempts.wait_s("192.0.2.1") == 50
    clock.now += WINDOW_S - 10.5 - 0.25
    assert attempts.wait_s("192.0.2.1") == 1
    clock.now += 0.25
    assert attempts.wait_s("192.0.2.1") is None


def test_who_has_not_failed_may_try_whoever_else_fails(attempts: FailedAttempts) -> None:
    for number in range(MOST_IN_ALL):
        fail(attempts, f"10.0.{number // 250}.{number % 250}")

    assert attempts.wait_s("192.0.2.1") is None
    assert attempts.wait_s("10.0.0.1") == WINDOW_S


def test_without_a_limit_nobody_waits() -> None:
    unlimited, strict = FailedAttempts(most_of_client=0), FailedAttempts(most_of_client=1)
    for attempts in (unlimited, strict):
        fail(attempts, "192.0.2.1", MOST_IN_ALL + 1)

    assert (unlimited.wait_s("192.0.2.1"), strict.wait_s("192.0.2.1") is None) == (None, False)


def test_a_flood_ends_after_a_minute(attempts: FailedAttempts, clock: Clock) -> None:
    fail(attempts, "192.0.2.1", MOST_IN_ALL)
    clock.now += WINDOW_S

    fail(attempts, "192.0.2.2")

    assert attempts.wait_s("192.0.2.2") is None


def test_only_so_many_addresses_are_remembered(
    attempts: FailedAttempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failed_attempts, "MAX_CLIENTS", 2)
    fail(attempts, "192.0.2.1", MOST_OF_CLIENT)
    fail(attempts, "192.0.2.2", MOST_OF_CLIENT)

    fail(attempts, "192.0.2.3", MOST_OF_CLIENT)

    assert [attempts.wait_s(f"192.0.2.{number}") is None for number in (1, 2, 3)] == [True, False, False]


class SharedCounters:
    """As the gateways share them; can be away."""

    def __init__(self) -> None:
        self.hits = Counter[str]()
        self.is_away = False

    async def hit(self, key: str) -> Count | None:
        if self.is_away:
            return None
        self.hits[key] += 1
        return Count(self.hits[key], WINDOW_S)


async def guess(attempts: FailedAttempts, client: str, times: int = 1) -> None:
    for _ in range(times):
        attempts.failed(client)
        await attempts.failed_for_all(client)


async def test_where_gateways_share_counters_a_guesser_gains_one_try_by_going_to_another_one(
    clock: Clock,
) -> None:
    shared = SharedCounters()
    one, other = (FailedAttempts(clock, shared=shared) for _ in range(2))
    await guess(one, "192.0.2.1", MOST_OF_CLIENT)

    await guess(other, "192.0.2.1")
    await guess(other, "192.0.2.2")

    assert [each.wait_s("192.0.2.1") for each in (one, other)] == [WINDOW_S] * 2
    assert other.wait_s("192.0.2.2") is None


async def test_a_flood_is_seen_by_all_who_share_counters(clock: Clock) -> None:
    shared = SharedCounters()
    one, other = (FailedAttempts(clock, shared=shared) for _ in range(2))
    for number in range(MOST_IN_ALL):
        await guess(one, f"10.0.{number // 250}.{number % 250}")

    await guess(other, "192.0.2.1")

    assert other.wait_s("192.0.2.1") == WINDOW_S


async def test_while_shared_counters_are_away_each_gateway_counts_for_itself(clock: Clock) -> None:
    shared = SharedCounters()
    attempts = FailedAttempts(clock, shared=shared)
    shared.is_away = True

    await guess(attempts, "192.0.2.1", MOST_OF_CLIENT)

    assert attempts.wait_s("192.0.2.1") == WINDOW_S


@pytest.mark.parametrize(
    ("client", "name"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_one_customer_s_addresses_count_as_one(client: str, name: str) -> None:
    assert counted_as(client) == name
