from __future__ import annotations

from structlog.testing import capture_logs

from kanca.errors import DatabaseUnavailable
from kanca.storage.presence import CALM_S, SUMMARY_EVERY_S, Presence


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_database_that_goes_and_comes_is_two_lines_however_many_notice() -> None:
    clock = Clock()
    presence = Presence(clock)
    with capture_logs() as lines:
        presence.worked()
        for _ in range(500):
            clock.now += 0.01
            presence.failed(DatabaseUnavailable("gone"))
        clock.now += CALM_S
        for _ in range(500):
            presence.worked()
    assert [line["event"] for line in lines] == ["database_away", "database_back"]
    assert (lines[0]["code"], lines[0]["why"]) == ("database_unavailable", "gone")
    assert lines[1]["failures"] == 500
    assert lines[1]["after_s"] == 7.0


def test_one_that_stays_away_is_a_line_a_minute() -> None:
    clock = Clock()
    presence = Presence(clock)
    with capture_logs() as lines:
        for _ in range(int(SUMMARY_EVERY_S) * 3 + 1):
            presence.failed(DatabaseUnavailable())
            clock.now += 1
    assert [line["event"] for line in lines] == ["database_away", *["database_still_away"] * 3]
    assert [line["failures"] for line in lines[1:]] == [61, 121, 181]


def test_one_that_works_now_and_then_is_not_said_to_come_and_go() -> None:
    clock = Clock()
    presence = Presence(clock)
    with capture_logs() as lines:
        for _ in range(50):
            presence.failed(DatabaseUnavailable())
            clock.now += CALM_S / 4
            presence.worked()
    assert [line["event"] for line in lines] == ["database_away"]


def test_who_tells_people_themselves_can_have_it_quiet() -> None:
    presence = Presence(is_quiet=True)
    with capture_logs() as lines:
        presence.failed(DatabaseUnavailable())
        presence.worked()
    assert not lines
