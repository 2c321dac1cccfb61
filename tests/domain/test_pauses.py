from __future__ import annotations

import pytest

from kanca.domain.pauses import pause_after


def test_each_failure_doubles_the_pause_up_to_the_longest() -> None:
    pauses = [pause_after(failures, 0.25, 2.0, 0) for failures in (1, 2, 3, 4, 5, 1_000_000)]
    assert pauses == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(("chance", "pause"), [(0.0, 2.0), (0.5, 1.5), (1.0, 1.0)])
def test_chance_takes_up_to_half_away_so_that_not_all_come_back_at_once(chance: float, pause: float) -> None:
    assert pause_after(9, 0.25, 2.0, chance) == pause
