"""How many attempts a receiver has at once, and what becomes of one that fails."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kanca.outbound.breaker import LONGEST_BREAK_S
from kanca.outbound.receivers import (
    HOST_FAILURES,
    SUBSCRIPTION_FAILURES,
    Ended,
    Places,
    Receiver,
    Receivers,
)

NOW = 1_000.0
FAILS = st.sampled_from([Ended.FAILED, Ended.UNREACHABLE])
ANY_END = st.sampled_from(Ended)
RATES = st.none() | st.sampled_from([0.01, 0.05, 0.5, 1.0, 3.0, 50.0])


def a_receiver(most: int = 10, rate: float | None = None) -> Receiver:
    return Receivers().of(7, "https://shop.example.com/hooks", most, rate)


def attempt(receiver: Receiver, how: Ended, now: float = NOW, asked_s: float | None = None) -> None:
    receiver.begun(now)
    receiver.ended(how, now, 0.1, asked_s)


def begin_all(receiver: Receiver, now: float = NOW) -> int:
    """Begin as many attempts as there is room for."""
    begun = 0
    while receiver.room(now) > 0:
        receiver.begun(now)
        begun += 1
        assert begun <= 10_000
    return begun


def test_one_attempt_at_first_and_twice_as_many_with_every_success() -> None:
    receiver = a_receiver(most=10)
    rooms = [receiver.room(NOW)]
    for _ in range(5):
        attempt(receiver, Ended.SUCCEEDED)
        rooms.append(receiver.room(NOW))
    assert rooms == [1, 2, 4, 8, 10, 10]


def test_a_failure_takes_all_back_that_was_earned() -> None:
    receiver = a_receiver()
    for _ in range(5):
        attempt(receiver, Ended.SUCCEEDED)
    attempt(receiver, Ended.FAILED)
    assert receiver.room(NOW) == 1
    assert not receiver.is_proven
    assert receiver.may_wait() == 0


def test_one_that_does_not_want_a_delivery_is_well() -> None:
    receiver = a_receiver()
    attempt(receiver, Ended.REFUSED)
    assert receiver.is_proven
    assert receiver.room(NOW) == 2


def test_after_failures_in_a_row_one_attempt_tries_and_its_success_lets_all_through() -> None:
    receiver = a_receiver()
    for _ in range(SUBSCRIPTION_FAILURES):
        assert receiver.room(NOW) == 1
        attempt(receiver, Ended.FAILED)
    assert receiver.room(NOW) == 0
    opens_at = receiver.opens_at(NOW)
    assert receiver.room(opens_at) == 1
    receiver.begun(opens_at)
    assert receiver.room(opens_at + 1_000) == 0
    receiver.ended(Ended.SUCCEEDED, opens_at, 0.1)
    assert receiver.room(opens_at) == 2


def test_one_that_refuses_every_first_attempt_is_delivered_to_all_the_same() -> None:
    receiver = a_receiver()
    parked: deque[int] = deque()
    later: list[tuple[float, int]] = []
    delivered = 0

    def admit(number: int, now: float) -> None:
        """As a worker does it: each is the ``number``th attempt of its delivery."""
        nonlocal delivered
        if not receiver.room(now, of_retry=number > 1):
            if number > 1 and receiver.fails_at_once:
                heappush(later, (receiver.put_off(now, of_retry=True), number))
            else:
                parked.append(number)
        elif number > 1:
            attempt(receiver, Ended.SUCCEEDED, now)
            delivered += 1
        else:
            attempt(receiver, Ended.FAILED, now)
            heappush(later, (now + 5.0, number + 1))

    for tenth in range(6_000):
        now = NOW + tenth / 10
        if tenth % 5 == 0:
            admit(1, now)
        while later and later[0][0] <= now:
            admit(heappop(later)[1], now)
        while parked and receiver.room(now):
            admit(parked.popleft(), now)

    assert delivered >= 1_100  # of 1 200 in ten minutes


@pytest.mark.parametrize(("how", "took_s"), [(Ended.UNREACHABLE, 0.1), (Ended.FAILED, 15.0)])
def test_one_that_is_silent_is_not_tried_early(how: Ended, took_s: float) -> None:
    receiver = a_receiver()
    for _ in range(SUBSCRIPTION_FAILURES):
        receiver.begun(NOW)
        receiver.ended(how, NOW, took_s)
    early = receiver.breaker.opens_at - 0.001
    assert receiver.room(early, of_retry=True) == 0


def test_it_gets_nothing_before_the_moment_that_it_asked_for() -> None:
    receiver = a_receiver()
    attempt(receiver, Ended.FAILED, asked_s=60.0)
    attempt(receiver, Ended.SUCCEEDED, asked_s=30.0)
    assert receiver.room(NOW + 59.9) == 0
    assert receiver.opens_at(NOW) == NOW + 60.0
    assert receiver.room(NOW + 60.0) >= 1


def test_a_host_that_cannot_be_reached_is_left_alone_by_all_its_subscriptions() -> None:
    receivers = Receivers()
    each = [
        receivers.of(number, f"https://Shop.Example.com/{number}", 10, None)
        for number in range(HOST_FAILURES + 1)
    ]
    elsewhere = receivers.of(99, "https://shop.example.com:8443/", 10, None)
    *failing, other = each
    for receiver in failing:
        assert other.room(NOW) == 1
        attempt(receiver, Ended.UNREACHABLE)
    assert [receiver.room(NOW) for receiver in each] == [0] * len(each)
    assert elsewhere.room(NOW) == 1
    opens_at = other.opens_at(NOW)
    other.begun(opens_at)
    assert [receiver.room(opens_at) for receiver in each] == [0] * len(each)
    other.ended(Ended.SUCCEEDED, opens_at, 0.1)
    assert [receiver.room(opens_at) for receiver in failing] == [1] * HOST_FAILURES


def test_an_answer_of_any_kind_says_that_the_host_is_there() -> None:
    receivers = Receivers()
    one, other = (receivers.of(number, "https://shop.example.com", 10, None) for number in (1, 2))
    for _ in range(HOST_FAILURES - 1):
        attempt(one, Ended.UNREACHABLE)
    attempt(other, Ended.FAILED)
    attempt(one, Ended.UNREACHABLE)
    assert not one.host.is_open


def test_an_attempt_that_was_cut_short_says_nothing_and_gives_its_place_back() -> None:
    receiver = a_receiver()
    for _ in range(SUBSCRIPTION_FAILURES):
        attempt(receiver, Ended.FAILED)
    opens_at = receiver.opens_at(NOW)
    attempt(receiver, Ended.CUT_SHORT, opens_at)
    assert (receiver.in_flight, receiver.room(opens_at)) == (0, 1)


def test_the_rate_lets_a_second_of_it_through_at_once_and_then_one_after_the_other() -> None:
    receiver = a_receiver(most=1_000, rate=5.0)
    receiver.earned = 1_000.0
    assert begin_all(receiver) == 5
    assert receiver.opens_at(NOW) == NOW + 0.2
    assert begin_all(receiver, NOW + 0.21) == 1
    assert begin_all(receiver, NOW + 100.0) == 5


def test_attempts_that_try_whether_it_is_well_again_keep_to_the_rate() -> None:
    receiver = a_receiver(rate=0.01)
    now = NOW
    for _ in range(SUBSCRIPTION_FAILURES + 3):
        now = max(receiver.opens_at(now), now + 100.0)
        assert receiver.room(now) == 1
        attempt(receiver, Ended.FAILED, now)
    now = receiver.breaker.opens_at
    receiver.tokens, receiver.counted_at = 0.0, now
    assert receiver.room(now) == 0
    assert receiver.opens_at(now) == now + 100.0


def test_what_may_wait_in_memory_is_half_a_second_of_work() -> None:
    receiver = a_receiver(most=10)
    assert receiver.may_wait() == 0
    attempt(receiver, Ended.SUCCEEDED)
    assert receiver.may_wait() == 51
    slow = a_receiver(most=10, rate=4.0)
    attempt(slow, Ended.SUCCEEDED)
    assert slow.may_wait() == 3
    for _ in range(SUBSCRIPTION_FAILURES):
        attempt(slow, Ended.FAILED)
    assert slow.may_wait() == 0


def test_what_the_subscription_says_now_counts_at_once() -> None:
    receivers = Receivers()
    receiver = receivers.of(7, "https://shop.example.com", 10, None)
    for _ in range(5):
        attempt(receiver, Ended.SUCCEEDED)
    assert receiver.room(NOW) == 10
    assert receivers.of(7, "https://shop.example.com", 3, None) is receiver
    assert receiver.room(NOW) == 3
    receivers.of(7, "https://shop.example.com", 3, 1.0)
    assert receiver.room(NOW) == 1


def test_at_another_url_it_begins_anew() -> None:
    receivers = Receivers()
    receiver = receivers.of(7, "https://shop.example.com/old", 10, None)
    for _ in range(SUBSCRIPTION_FAILURES):
        attempt(receiver, Ended.FAILED, asked_s=3_600.0)
    assert receiver.room(NOW) == 0
    assert receivers.of(7, "https://shop.example.com/new", 10, None).room(NOW) == 1


def test_a_host_whose_last_hope_goes_elsewhere_is_tried_by_another() -> None:
    receivers = Receivers()
    leaves, stays = (receivers.of(number, "https://shop.example.com", 10, None) for number in (1, 2))
    for number in range(HOST_FAILURES):
        attempt(receivers.of(10 + number, "https://shop.example.com", 10, None), Ended.UNREACHABLE)
    now = stays.opens_at(NOW)
    leaves.begun(now)
    assert stays.room(now) == 0
    receivers.of(1, "https://elsewhere.example.com", 10, None)
    leaves.ended(Ended.CUT_SHORT, now, 0.1)
    assert stays.room(now) == 1


def test_a_secret_that_is_missing_says_nothing_of_the_host_that_others_share() -> None:
    receivers = Receivers()
    without, other = (receivers.of(number, "https://shop.example.com", 10, None) for number in (1, 2))
    for _ in range(HOST_FAILURES):
        attempt(without, Ended.NOT_SENT)
    assert without.room(NOW) == 0
    assert other.room(NOW) == 1
    for _ in range(HOST_FAILURES):
        attempt(other, Ended.UNREACHABLE)
    assert other.host.is_open
    attempt(without, Ended.NOT_SENT)
    assert other.host.is_open


def test_a_url_that_nobody_can_read_is_a_host_of_its_own() -> None:
    receivers = Receivers()
    for url in ("https://[::1", "https://shop.example.com:99999/", ""):
        assert receivers.of(1, url, 10, None).room(NOW) == 1


def test_what_is_put_off_is_tried_one_after_the_other_at_the_receivers_pace() -> None:
    receiver = a_receiver(most=4)
    receiver.begun(NOW)
    assert [receiver.put_off(NOW) - NOW for _ in range(3)] == pytest.approx([0.25, 0.35, 0.45])
    limited = a_receiver(rate=2.0)
    begin_all(limited)
    assert [limited.put_off(NOW) - NOW for _ in range(3)] == pytest.approx([0.5, 1.0, 1.5])


def test_what_is_put_off_waits_for_a_break_and_for_a_minute_at_most() -> None:
    receiver = a_receiver()
    for _ in range(SUBSCRIPTION_FAILURES):
        attempt(receiver, Ended.FAILED)
    assert [receiver.put_off(NOW) - NOW for _ in range(2)] == pytest.approx([5.0, 5.1])
    assert max(receiver.put_off(NOW) - NOW for _ in range(2_000)) == pytest.approx(60.0)
    assert receiver.put_off(NOW + 1_000.0) == pytest.approx(NOW + 1_000.25)


def test_those_that_were_fed_the_longest_time_ago_come_first() -> None:
    receivers = Receivers()
    each = [receivers.of(number, "https://shop.example.com", 10, None) for number in range(4)]
    for receiver, fed_at in zip(each, (3.0, 1.0, 4.0, 2.0), strict=True):
        receiver.fed_at = fed_at
    each[3].has_parked = False
    assert [receiver.number for receiver in receivers.waiting()] == [1, 0, 2]


def test_one_that_a_person_says_is_well_begins_anew() -> None:
    receivers = Receivers()
    receiver = receivers.of(7, "https://shop.example.com", 10, None)
    for _ in range(SUBSCRIPTION_FAILURES):
        attempt(receiver, Ended.FAILED)
    receivers.forget(7)
    receivers.forget(7)
    assert receivers.known(7) is None
    assert receivers.of(7, "https://shop.example.com", 10, None).room(NOW) == 1


def is_free(places: Places) -> tuple[bool, bool, bool]:
    """For a new receiver, for one that is well, and for one that is well and has an attempt under way."""
    new, well, has_one = a_receiver(), a_receiver(), a_receiver()
    for receiver in (well, has_one):
        attempt(receiver, Ended.SUCCEEDED)
    has_one.begun(NOW)
    return places.is_free_for(new), places.is_free_for(well), places.is_free_for(has_one)


def test_a_part_of_the_places_is_kept_for_receivers_that_are_well() -> None:
    assert is_free(Places(most=8, most_connections=32, busy=5)) == (True, True, True)
    assert is_free(Places(most=8, most_connections=32, busy=6)) == (False, True, True)
    assert is_free(Places(most=8, most_connections=32, busy=7)) == (False, True, True)
    assert is_free(Places(most=8, most_connections=32, busy=8)) == (False, False, False)


def test_the_last_connections_are_kept_for_receivers_that_are_well_and_have_none() -> None:
    assert is_free(Places(most=8, most_connections=32, busy=5, slow=18)) == (True, True, True)
    assert is_free(Places(most=8, most_connections=32, busy=5, slow=19)) == (False, True, False)
    assert is_free(Places(most=8, most_connections=32, busy=5, slow=26)) == (False, True, False)
    assert is_free(Places(most=8, most_connections=32, busy=5, slow=27)) == (False, False, False)


class AnyReceiver(RuleBasedStateMachine):
    """Attempts begin where there is room, end somehow, and time goes by."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.receivers = Receivers()
        self.number_of_hosts = 2
        self.configured: dict[int, tuple[int, float | None]] = {}
        self.in_flight: dict[int, deque[float]] = {}
        self.began: dict[int, list[float]] = {}
        self.failures: dict[int, int] = {}

    def receiver(self, number: int) -> Receiver:
        most, rate = self.configured.setdefault(number, (4, None))
        self.in_flight.setdefault(number, deque())
        return self.receivers.of(number, f"https://host{number % 2}.example.com/{number}", most, rate)

    numbers = st.integers(1, 3)

    @rule(number=numbers, most=st.integers(1, 8), rate=RATES)
    def is_configured(self, number: int, most: int, rate: float | None) -> None:
        if not self.in_flight.get(number):
            self.configured[number] = (most, rate)
            self.began[number] = []
        self.receiver(number)

    @rule(number=numbers, count=st.integers(1, 5))
    def begins(self, number: int, count: int) -> None:
        receiver = self.receiver(number)
        for _ in range(count):
            if receiver.room(self.now) <= 0:
                return
            assert not receiver.breaker.is_open or receiver.in_flight == 0
            receiver.begun(self.now)
            self.in_flight[number].append(self.now)
            self.began.setdefault(number, []).append(self.now)

    @precondition(lambda self: any(self.in_flight.values()))
    @rule(data=st.data(), how=ANY_END, asked_s=st.none() | st.floats(0, 20))
    def ends(self, data: st.DataObject, how: Ended, asked_s: float | None) -> None:
        number = data.draw(st.sampled_from([n for n, began in self.in_flight.items() if began]))
        began = self.in_flight[number].popleft()
        receiver = self.receiver(number)
        receiver.ended(how, self.now, self.now - began, asked_s)
        if how in {Ended.FAILED, Ended.UNREACHABLE, Ended.NOT_SENT}:
            assert receiver.room(self.now) <= 1
        elif how is not Ended.CUT_SHORT:
            assert not receiver.breaker.is_open

    @rule(number=numbers, how=FAILS, times=st.integers(3, 12))
    def fails_again_and_again(self, number: int, how: Ended, times: int) -> None:
        receiver = self.receiver(number)
        for _ in range(times):
            self.now = max(self.now, min(receiver.opens_at(self.now), self.now + 1_000))
            if receiver.room(self.now) > 0:
                receiver.begun(self.now)
                self.began.setdefault(number, []).append(self.now)
                receiver.ended(how, self.now, 0.1)

    @rule(seconds=st.sampled_from([0.001, 0.1, 1.0, 5.0, 30.0, 600.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def never_more_at_once_than_it_may_have(self) -> None:
        for number in self.in_flight:
            receiver, (most, _) = self.receiver(number), self.configured[number]
            assert receiver.in_flight == len(self.in_flight[number]) <= most
            assert receiver.earned >= 1.0

    @invariant()
    def never_more_than_the_rate_over_any_second(self) -> None:
        for number, began in self.began.items():
            rate = self.configured[number][1]
            if rate is None:
                continue
            burst = max(1.0, rate)
            for first, since in enumerate(began):
                for until_index in range(first, len(began)):
                    count = until_index - first + 1
                    assert count <= burst + rate * (began[until_index] - since) + 1e-6

    @invariant()
    def nothing_is_negative(self) -> None:
        for number in self.in_flight:
            receiver = self.receiver(number)
            assert receiver.room(self.now) >= 0
            assert receiver.may_wait() >= 0
            assert receiver.mean_s >= 0
            assert receiver.tokens > -1e-6

    @invariant()
    def no_receiver_is_left_alone_for_ever(self) -> None:
        if not any(self.in_flight.values()):
            later = self.now + LONGEST_BREAK_S + 1 / 0.01
            for number in self.in_flight:
                assert self.receiver(number).room(later) >= 1


TestAnyReceiver = AnyReceiver.TestCase
TestAnyReceiver.settings = settings(max_examples=60, stateful_step_count=60)


def test_once_there_was_room_what_is_put_off_is_tried_soon() -> None:
    receiver = Receivers().of(7, "https://shop.example.com/hooks", 10, None)
    receiver.begun(NOW)
    for _ in range(1_000):
        receiver.put_off(NOW)
    receiver.ended(Ended.SUCCEEDED, NOW + 1, 1.0)
    receiver.begun(NOW + 1)
    assert receiver.put_off(NOW + 1) == pytest.approx(NOW + 1.25)
