from __future__ import annotations

from typing import Any

import pytest

from kanca.telemetry import line_bounds
from kanca.telemetry.line_bounds import MOST_ALIKE, WINDOW_S, LineBound
from kanca.telemetry.lines import LEFT_OUT, WEBHOOK, Lines

AWAY = {"code": "database_unavailable"}


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def bounded(clock: Clock, wanted: str = "errors") -> tuple[Lines, list[dict[str, Any]]]:
    written: list[dict[str, Any]] = []
    lines = Lines(clock)
    lines.configure(wanted, lambda event, fields, _: written.append({"event": event, **fields}))
    return lines, written


def test_of_an_outage_there_are_some_lines_and_then_how_many_were_left_out(clock: Clock) -> None:
    lines, written = bounded(clock)

    for _ in range(MOST_ALIKE + 5_000):
        lines.write(WEBHOOK, AWAY, is_wrong=True)
    assert len(written) == MOST_ALIKE
    clock.now_s += WINDOW_S
    lines.write(WEBHOOK, AWAY, is_wrong=True)

    left_out = {"of": WEBHOOK, **AWAY, "count": 5_000, "window_s": WINDOW_S}
    assert written[MOST_ALIKE:] == [{"event": LEFT_OUT, **left_out}, {"event": WEBHOOK, **AWAY}]


def test_what_is_different_is_still_told_of(clock: Clock) -> None:
    lines, written = bounded(clock)

    for _ in range(MOST_ALIKE * 2):
        lines.write(WEBHOOK, AWAY, is_wrong=True)
    lines.write(WEBHOOK, {"code": "invalid_signature"}, is_wrong=True)

    assert written[-1]["code"] == "invalid_signature"


def test_kinds_without_end_are_counted_together() -> None:
    bound = LineBound()

    through = sum(bound.lets_through("attempt", {"code": str(n)}) for n in range(100_000))

    assert through == line_bounds.MOST_KINDS + MOST_ALIKE
    assert [each["of"] for each in bound.left_out()] == ["other"]


def test_whoever_ends_says_what_was_left_out(clock: Clock) -> None:
    lines, written = bounded(clock)

    for _ in range(MOST_ALIKE + 1):
        lines.write(WEBHOOK, AWAY, is_wrong=True)
    lines.flush()

    assert (written[-1]["event"], written[-1]["count"]) == (LEFT_OUT, 1)


async def test_it_is_said_when_nothing_goes_wrong_any_more_too(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[float] = []
    lines, written = bounded(clock)

    def remember(_call: object, after_s: float) -> None:
        said.append(after_s)

    monkeypatch.setattr("kanca.telemetry.lines._later", remember)
    for _ in range(MOST_ALIKE + 1):
        lines.write(WEBHOOK, AWAY, is_wrong=True)

    assert said == [WINDOW_S]
    assert len(written) == MOST_ALIKE


def test_who_wants_all_lines_has_them_all(clock: Clock) -> None:
    lines, written = bounded(clock, "all")

    for _ in range(MOST_ALIKE * 2):
        lines.write(WEBHOOK, AWAY, is_wrong=True)

    assert len(written) == MOST_ALIKE * 2
