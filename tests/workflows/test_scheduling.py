from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.ids import time_of
from kanca.workflows.scheduling import InvalidSchedule, Missed, Rule, Turn, read_rule, run_id_of, turn_of

MINUTE = timedelta(minutes=1)
CHANGES = {
    "Europe/Berlin": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)),
    # At midnight, two hours at once, and a day that never was.
    "Asia/Beirut": (datetime(2024, 3, 30, 22, tzinfo=UTC), datetime(2024, 10, 26, 21, tzinfo=UTC)),
    "Antarctica/Troll": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "Pacific/Apia": (datetime(2011, 12, 30, 10, tzinfo=UTC),),
    "Europe/Istanbul": (datetime(2026, 3, 29, 1, tzinfo=UTC),),
    "UTC": (datetime(2026, 2, 28, 23, tzinfo=UTC),),
}


def local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def some_field(highest: int) -> st.SearchStrategy[str]:
    numbers = st.integers(0, highest)
    return st.one_of(
        st.just("*"),
        st.integers(2, 7).map("*/{}".format),
        st.tuples(numbers, numbers).map(lambda ends: "{}-{}".format(*sorted(ends))),
        st.lists(numbers, min_size=1, max_size=4).map(lambda several: ",".join(map(str, several))),
    )


@st.composite
def rules_and_moments(draw: st.DrawFn) -> tuple[Rule, datetime]:
    """A rule that comes every day, and a moment around a change of the clock."""
    zone = draw(st.sampled_from(sorted(CHANGES)))
    cron = f"{draw(some_field(59))} {draw(some_field(23))} * * *"
    offset = timedelta(seconds=draw(st.integers(-12 * 3600, 12 * 3600)))
    return read_rule(cron, zone), draw(st.sampled_from(CHANGES[zone])) + offset


@given(rules_and_moments())
def test_the_next_moment_is_later_and_matches_the_clock_of_the_zone(given_: tuple[Rule, datetime]) -> None:
    rule, moment = given_
    found = rule.after(moment)
    assert found > moment
    assert (found.tzinfo, found.second, found.microsecond) == (UTC, 0, 0)
    comes_behind_a_gap = offset_of(rule, found) > offset_of(rule, found - MINUTE)
    assert matches(rule, found) or comes_behind_a_gap


@given(rules_and_moments())
def test_no_moment_is_passed_over(given_: tuple[Rule, datetime]) -> None:
    rule, moment = given_
    found = rule.after(moment)
    minute, hour, *_ = rule.cron.split()
    is_fixed = not (minute.startswith("*") or hour.startswith("*"))
    between = moment.replace(second=0) + MINUTE
    while between < found:
        comes_again = is_fixed and between.astimezone(rule.zone).fold == 1
        assert not matches(rule, between) or comes_again
        between += MINUTE


def matches(rule: Rule, moment: datetime) -> bool:
    wanted, at = CronSim(rule.cron, datetime(2000, 1, 1, tzinfo=UTC)), moment.astimezone(rule.zone)
    return at.minute in wanted.minutes and at.hour in wanted.hours


def offset_of(rule: Rule, moment: datetime) -> timedelta:
    offset = moment.astimezone(rule.zone).utcoffset()
    assert offset is not None
    return offset


@given(rules_and_moments(), st.integers(0, 3 * 24 * 3600))
def test_the_newest_moment_is_found_as_if_all_were_looked_at(
    given_: tuple[Rule, datetime], seconds: int
) -> None:
    rule, moment = given_
    first = newest = following = rule.after(moment)
    now = first + timedelta(seconds=seconds)
    while following <= now:
        newest, following = following, rule.after(following)
    assert rule.newest(first, now) == newest


def test_a_time_that_is_left_out_comes_behind_the_gap_and_one_that_comes_twice_comes_once() -> None:
    rule = read_rule("30 2 * * *", "Europe/Berlin")
    saturday, sunday = (local(f"2026-03-{day}T12:00", "Europe/Berlin") for day in (28, 29))
    assert rule.after(saturday) == local("2026-03-29T03:00", "Europe/Berlin")
    assert rule.after(sunday) == local("2026-03-30T02:30", "Europe/Berlin")
    first = rule.after(local("2026-10-24T12:00", "Europe/Berlin"))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    for minutes in (0, 40, 60):
        assert rule.after(first + minutes * MINUTE) == local("2026-10-26T02:30", "Europe/Berlin")


def test_what_comes_every_so_often_goes_on_through_both_hours() -> None:
    rule = read_rule("*/30 * * * *", "Europe/Berlin")
    moment, found = datetime(2026, 10, 24, 23, 59, tzinfo=UTC), []
    for _ in range(5):
        moment = rule.after(moment)
        found.append(moment.astimezone(rule.zone).strftime("%H:%M"))
    assert found == ["02:00", "02:30", "02:00", "02:30", "03:00"]


@pytest.mark.parametrize(
    ("cron", "moment"),
    [
        ("0 9 * * mon-fri", "2026-05-04T09:00+00:00"),
        ("0 9 * * 7", "2026-05-03T09:00+00:00"),
        ("  0   9 L * *  ", "2026-05-31T09:00+00:00"),
        ("0 9 LW * *", "2026-05-29T09:00+00:00"),
        ("0 9 * * FRI#2", "2026-05-08T09:00+00:00"),
        ("0 9 * * 5L", "2026-05-29T09:00+00:00"),
        ("0 0 29 feb */7", "2032-02-29T00:00+00:00"),
    ],
)
def test_days_may_be_named_in_many_ways(cron: str, moment: str) -> None:
    after = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert read_rule(cron, "UTC").after(after) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    ("cron", "sentence"),
    [
        ("", "it has 0 fields, and must have five: minute, hour"),
        ("@hourly", "it has 1 fields"),
        ("0 0 9 * * *", "it has 6 fields"),
        ("60 * * * *", "'60' cannot be the minute"),
        ("* 24 * * *", "'24' cannot be the hour"),
        ("* * 0 * *", "'0' cannot be the day of the month"),
        ("* * * okt *", "'okt' cannot be the month"),
        ("* * * * fri-mon", "'fri-mon' cannot be the day of the week"),
        ("*/0 * * * *", "'*/0' cannot be the minute"),
        ("1,,2 * * * *", "'1,,2' cannot be the minute"),
        ("* * * * 5L/2", "cannot be the day of the week"),
        ("٣ * * * *", "cannot be the minute"),  # a digit, but not one of cron's
        ("0 0 30 2 *", "never comes"),
        ("0 0 */31 * mon#2", "never comes"),
        ("1" * 9_000 + " * * * *", "longer than 200 characters"),
        (",".join(["1"] * 200) + " * * * *", "longer than 200 characters"),
    ],
)
def test_a_wrong_cron_expression_is_refused_with_its_field(cron: str, sentence: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        read_rule(cron, "UTC")
    assert sentence in str(refused.value)


@given(st.text() | st.lists(st.text("0123456789*/-,#LW ", max_size=6), max_size=7).map(" ".join))
def test_any_text_is_a_cron_expression_or_refused(text: str) -> None:
    with suppress(InvalidSchedule):
        read_rule(text, "UTC")


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Base", "Europe", "localtime", "europe/berlin", "../etc/passwd", "a\0b", "Factory", "+03:00"],
)
def test_a_zone_that_is_not_the_same_everywhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidSchedule, match="there is no time zone"):
        read_rule("* * * * *", name)


EVERY_HOUR = read_rule("0 * * * *", "UTC")
NINE = datetime(2026, 5, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize("missed", ["once", "skip"])
@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=3), MINUTE])
def test_what_is_due_starts_a_run(missed: Missed, late: timedelta) -> None:
    assert turn_of(EVERY_HOUR, missed, NINE, NINE + late) == Turn(NINE, NINE + HOUR)


@pytest.mark.parametrize(("missed", "run_at"), [("once", NINE + 4 * HOUR), ("skip", None)])
def test_of_several_missed_moments_one_starts_a_run_or_none(missed: Missed, run_at: datetime | None) -> None:
    now = NINE + 4 * HOUR + timedelta(minutes=20)
    assert turn_of(EVERY_HOUR, missed, NINE, now) == Turn(run_at, NINE + 5 * HOUR)


def test_a_moment_that_was_not_missed_starts_a_run_whatever_was_missed_before() -> None:
    now = NINE + 4 * HOUR + timedelta(seconds=1)
    assert turn_of(EVERY_HOUR, "skip", NINE, now) == Turn(NINE + 4 * HOUR, NINE + 5 * HOUR)


def test_years_of_missed_minutes_take_no_time() -> None:
    rule = read_rule("* * * 1 *", "Europe/Berlin")
    first = rule.after(datetime(2000, 1, 1, tzinfo=UTC))
    began = time.thread_time()
    turn = turn_of(rule, "once", first, datetime(2026, 6, 1, tzinfo=UTC))
    assert time.thread_time() - began < 1
    assert turn.run_at == datetime(2026, 1, 31, 22, 59, tzinfo=UTC)
    assert turn.next_at == datetime(2026, 12, 31, 23, 0, tzinfo=UTC)


def test_a_moment_has_one_run_id_with_its_time_in_front() -> None:
    identifier = run_id_of(7, "morning", NINE)
    assert run_id_of(7, "morning", NINE) == identifier
    assert time_of(identifier) == NINE
    others = {
        run_id_of(8, "morning", NINE),
        run_id_of(7, "evening", NINE),
        run_id_of(7, "morning", NINE + HOUR),
    }
    assert len(others | {identifier}) == 4
