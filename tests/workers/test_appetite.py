from __future__ import annotations

from kanca.workers.appetite import MOST_AHEAD, Appetite


def after(*times_s: float) -> Appetite:
    appetite = Appetite()
    for took_s in times_s:
        appetite.ended(took_s)
    return appetite


def test_a_new_worker_is_cautious() -> None:
    assert Appetite().ahead(10) <= 1


def test_quick_work_is_claimed_ahead_up_to_a_limit() -> None:
    assert after(*[0.001] * 100).ahead(10) == MOST_AHEAD


def test_slow_work_is_not_claimed_ahead() -> None:
    assert after(*[0.001] * 100, *[5.0] * 20).ahead(10) == 0


def test_work_in_between_is_claimed_for_a_moment() -> None:
    assert 80 <= after(*[0.01] * 200).ahead(10) <= 120


def test_nothing_is_claimed_ahead_after_a_mistake_until_something_has_ended() -> None:
    appetite = after(*[0.001] * 100)
    appetite.was_too_large()
    assert appetite.ahead(1000) == 0
    appetite.ended(0.001)
    assert 0 < appetite.ahead(1000) < MOST_AHEAD
