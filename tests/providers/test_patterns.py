from __future__ import annotations

import pytest

from kanca.providers.patterns import MAX_MATCHED_LENGTH, check_pattern, fits


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+",
        "(a|aa)*b",
        "(?:[a-z]+)*",
        "(a){2,}",
        "(a?){30}",
        "([)]+)+",
        r"(a*)\1",
        "(?P<a>a)(?P=a)",
        ".*.*.*.*x",
        "a{0,99}a{0,99}a{0,99}a{10}",
        "(",
    ],
)
def test_a_pattern_that_could_take_very_long_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"could take very long|is no regular expression"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "[a-f0-9]{20,32}",
        r"sns(-signing\.|-)[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}\.amazonaws\.com(\.cn)?",
        r"[(a+)+*{1,}]+\)+",
        "(a|b)c",
    ],
)
def test_others_are_not(pattern: str) -> None:
    check_pattern(pattern)


def test_a_text_that_is_too_long_fits_nothing() -> None:
    assert fits("a+", "a" * MAX_MATCHED_LENGTH)
    assert not fits("a+", "a" * (MAX_MATCHED_LENGTH + 1))
    assert not fits("a", "ab")
