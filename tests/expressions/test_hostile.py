"""Hostile expressions are refused when saved, with their position, or bounded in time and memory when evaluated."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from kanca.errors import ExpressionFailed, InvalidExpression
from kanca.expressions import compile_expression
from kanca.expressions.expression import BUDGET
from kanca.expressions.weights import BYTES_PER_NS
from tests.expressions.hostile import CASES, NAMES, PROCESSOR_S, growing

ROOT = Path(__file__).parents[2]


def limited(*words: str) -> subprocess.CompletedProcess[str]:
    """``tests.expressions.hostile``, in a process that the system ends when it takes too much."""
    command = [sys.executable, "-m", "tests.expressions.hostile", *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=10 * PROCESSOR_S
    )


def outcomes_in(ended: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return dict(json.loads(line) for line in ended.stdout.splitlines())


@pytest.fixture(scope="module")
def ended() -> subprocess.CompletedProcess[str]:
    return limited()


@pytest.mark.parametrize("name", CASES)
def test_no_expression_takes_more_than_its_share(ended: subprocess.CompletedProcess[str], name: str) -> None:
    assert outcomes_in(ended).get(name, ended.stderr[-2_000:]) in CASES[name].outcomes


def test_any_tree_over_any_input_has_a_value_or_fails_as_ours() -> None:
    ended = limited("anything")
    assert outcomes_in(ended) == {"anything": "is bounded"}, ended.stderr[-8_000:]


def test_what_a_text_can_grow_to_follows_from_the_budget() -> None:
    # What a result weighs is charged twelve times: it is handed back as Python values.
    most = BUDGET // timedelta(microseconds=1) * 1_000 * BYTES_PER_NS // 12
    compiled = compile_expression(growing(4), NAMES, allow_comprehensions=True)
    sizes = []
    for size in (2**exponent for exponent in range(20)):
        with suppress(ExpressionFailed):
            grown = compiled.evaluate({"v": "x" * size})
            assert grown == ["x" * (256 * size)]
            sizes.append(256 * size)
    assert most / 256 < max(sizes) <= most


@pytest.mark.parametrize(
    ("source", "line", "column", "sentence"),
    [
        ("", 1, 1, "the expression ends where a value was expected"),
        ("(" * 200 + "1" + ")" * 200, 1, 41, "nested more than 40 deep"),
        ("[" * 2_000, 1, 41, "nested more than 40 deep"),
        ("{1: " * 200, 1, 158, "nested more than 40 deep"),
        ("size(" * 400 + "v" + ")" * 400, 1, 201, "nested more than 40 deep"),
        ("true ? 1 : " * 300 + "1", 1, 441, "nested more than 40 deep"),
        ("v" + ".a" * 2_000, 1, 1, "nested more than 40 deep"),
        ("1" + " + 1" * 900, 1, 1, "nested more than 40 deep"),
        ("'" + "x" * 5_000 + "'", 1, 4_097, "longer than 4096 characters"),
        ("v ==\n" * 900, 820, 2, "longer than 4096 characters"),
        ("v\n&& '" + "x" * 100, 2, 4, "this text is not closed"),
        ("9" * 4_000, 1, 1, "this number is too large"),
        ("v + 0x" + "f" * 17, 1, 5, "this number is too large"),
        ("v * 1e999", 1, 5, "this number is too large"),
        ("v ==\n  9223372036854775808", 2, 3, "this number is too large"),
        ("v == 18446744073709551616u", 1, 6, "this number is too large"),
        ("v.map(a, v.map(b, v.map(c, a)))", 1, 21, "map() is nested more than 2 deep"),
        ("v" + ".map(a, a)" * 9, 1, 3, "more than 8 of"),
        (growing(8), 1, 1, "takes too long whatever its input"),
        ("v.matches(r'(?:a{1000}){1000}')", 1, 11, "the pattern is too large"),
        ("v.matches(r'a{99999999999999999999}')", 1, 11, "the pattern is too large"),
        (r"v.matches(r'\pL{50}')", 1, 11, "the pattern is too large"),
        ("v.matches('" + "(" * 200 + ")" * 200 + "')", 1, 11, "nests more than 20 groups"),
        ("v.matches('" + "a" * 501 + "')", 1, 11, "longer than 500 characters"),
        ("v.matches('a{,9}')", 1, 11, "not a valid regular expression"),
        ("v.matches('(a')", 1, 11, "not a valid regular expression"),
        ("v.matches(\n  v)", 2, 3, "must be a literal text"),
        ("v.matches('a' + 'b')", 1, 15, "must be a literal text"),
        ("v == \ud800", 1, 6, "half of a character"),
        ("v == '\\ud800'", 1, 6, "an escape that is not a character"),
        ("v.\u202ea", 1, 3, "unexpected character '\\u202e'"),
        ("v == \x00", 1, 6, "unexpected character '\\x00'"),
        ("v\u2028+ 1", 1, 2, "unexpected character '\\u2028'"),
        ("v.größe", 1, 5, "unexpected character 'ö'"),
        ("v &&\n\n  nobody == 1", 3, 3, "unknown name 'nobody'"),
        ("__import__('os')", 1, 1, "unknown function '__import__'"),
        ("v.repeat(1000000)", 1, 3, "unknown function 'repeat'"),
        ("v.format([w])", 1, 3, "unknown function 'format'"),
        ("v.map(x, x).join(',')", 1, 13, "unknown function 'join'"),
        ("@result", 1, 1, "unexpected character '@'"),
        ("v.map(int, 1)", 1, 3, "'int' cannot be the name of a variable"),
        ("v; w", 1, 2, "unexpected character ';'"),
        ("v w", 1, 3, "there is 'w' where an operator or the end"),
    ],
)
def test_what_can_be_seen_from_the_source_is_refused_with_its_position(
    source: str, line: int, column: int, sentence: str
) -> None:
    with pytest.raises(InvalidExpression) as refused:
        compile_expression(source, NAMES, allow_comprehensions=True)
    assert refused.value.detail.startswith(f"line {line}, column {column}: ")
    assert sentence in refused.value.detail
    before = source[: refused.value.facts["offset"]]
    assert (refused.value.facts["line"], refused.value.facts["column"]) == (line, column)
    assert (before.count("\n") + 1, len(before) - before.rfind("\n")) == (line, column)


@pytest.mark.parametrize(
    "source",
    [
        "-" * 4_000 + "1",
        "!" * 4_000 + "true",
        " || ".join(["(((((v == 1)))))"] * 150),
        " && ".join(["(v == 1 || w == 2)"] * 150),
        "[" + ", ".join(["true ? 1 : 2"] * 250) + "]",
        "[" + ",".join("1" * 2_000) + "]",
        "{" + ", ".join(f"'{number}': 1" for number in range(300)) + "}",
        "//" + "x" * 4_000 + "\n1",
        "'" + "\\u00e9" * 650 + "'",
        '"""' + '\\"' * 2_000 + '"""',
    ],
)
def test_what_is_only_long_is_taken(source: str) -> None:
    compiled = compile_expression(source, NAMES, allow_comprehensions=True)
    compiled.evaluate({"v": 1, "w": 2})
