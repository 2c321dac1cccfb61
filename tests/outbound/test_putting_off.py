"""When deliveries look again that there is no room for."""

from __future__ import annotations

from kanca.outbound.receivers import SHORTEST_PUT_OFF_S, SUBSCRIPTION_FAILURES, Ended, Receiver, Receivers

NOW = 1_000.0


def busy(most: int = 10, rate: float | None = None) -> Receiver:
    receiver = Receivers().of(7, "https://shop.example.com/hooks", most, rate)
    receiver.begun(NOW)
    return receiver


def test_one_that_comes_while_the_receiver_is_merely_busy_looks_again_soon() -> None:
    assert busy().put_off(NOW) == NOW + SHORTEST_PUT_OFF_S


def test_many_look_again_one_after_the_other_about_as_fast_as_they_are_made() -> None:
    receiver = busy(most=10)
    moments = [receiver.put_off(NOW) for _ in range(1_000)]
    assert moments == sorted(set(moments))
    assert 9 < moments[-1] - NOW < 11  # each takes 0.1 s, ten at once


def test_once_there_was_room_the_next_one_looks_again_soon() -> None:
    receiver = busy()
    for _ in range(1_000):
        receiver.put_off(NOW)
    receiver.ended(Ended.SUCCEEDED, NOW + 1, 1.0)
    receiver.begun(NOW + 1)
    assert receiver.put_off(NOW + 1) == NOW + 1 + SHORTEST_PUT_OFF_S


def test_with_a_rate_they_look_again_no_faster_than_it() -> None:
    receiver = busy(rate=2.0)
    moments = [receiver.put_off(NOW) - NOW for _ in range(4)]
    assert moments == [0.5, 1.0, 1.5, 2.0]


def test_nobody_looks_again_before_a_breaker_lets_one_through() -> None:
    receiver = busy()
    for _ in range(SUBSCRIPTION_FAILURES):
        receiver.ended(Ended.FAILED, NOW, 0.1)
        receiver.begun(NOW)
    receiver.ended(Ended.CUT_SHORT, NOW, 0.1)
    assert receiver.put_off(NOW) >= receiver.breaker.opens_at > NOW
