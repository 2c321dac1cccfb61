from __future__ import annotations

import pytest

from kanca.expressions.patterns import PatternTooLarge, pattern_cost


@pytest.mark.parametrize(
    ("pattern", "atoms"),
    [
        ("abc", 3),
        ("", 1),
        ("^order\\.[a-z]+$", 9),
        ("a{10}", 10),
        ("a{2,5}", 5),
        ("a{3,}", 4),
        ("(?:ab){10}", 30),
        ("((a{10}){10}){2}", 222),
        ("a+{3}{4}", 12),
        ("a{ 10 }", 10),
        ("a{0}", 1),
        ("[]a]{3}", 3),
        ("[^]{9}]", 1),
        ("[a[b]{5}]{2}", 2),
        ("\\{10\\}", 4),
        ("\\x{61}{7}", 7),
        ("\\pL{7}", 7),
        ("\\p{Greek}{7}", 7),
        ("(?P<a[b>\\d{7})", 8),
        ("(?i)ab", 2),
        ("a|b|c", 5),
    ],
)
def test_atoms_are_counted_with_their_repetitions(pattern: str, atoms: int) -> None:
    assert pattern_cost(pattern).atoms == atoms


def test_a_unicode_class_costs_more_than_a_letter_wherever_it_stands() -> None:
    letter = pattern_cost("a").compile_ns
    for pattern in ("\\w", "[\\w]", "[^a\\W]", "(?:\\pL)", "\\P{Greek}", "(?P<a[b>\\w)"):
        assert pattern_cost(pattern).compile_ns > letter + 300_000, pattern


def test_case_folding_makes_every_letter_a_class() -> None:
    assert pattern_cost("(?i)ab").compile_ns > pattern_cost("ab").compile_ns + 20_000


@pytest.mark.parametrize(
    "pattern",
    ["\\w{100}", "(?:\\w{5}){5}", "a{100000}", "(((a{100}){100}){100}){100}", "\\pL{50}", "(?i)a{1000}"],
)
def test_a_pattern_that_takes_long_to_compile_is_refused(pattern: str) -> None:
    with pytest.raises(PatternTooLarge, match="too large"):
        pattern_cost(pattern)


@pytest.mark.parametrize("pattern", ["(?x)\\w {100}", "(?ix: a )", "(?-x)a"])
def test_free_spacing_is_refused_because_it_hides_repetitions(pattern: str) -> None:
    with pytest.raises(PatternTooLarge, match="flag x"):
        pattern_cost(pattern)


@pytest.mark.parametrize("pattern", ["(" * 200, "[" * 200, "x" * 501])
def test_a_pattern_of_excessive_shape_is_refused(pattern: str) -> None:
    with pytest.raises(PatternTooLarge):
        pattern_cost(pattern)
