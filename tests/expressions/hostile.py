"""Expressions and inputs that nobody means well with, evaluated in a process that may use little time and memory.

``python -m tests.expressions.hostile`` prints a line of JSON for each case as soon as it is done: what is not bounded
ends the process, and the cases that it owes are those that failed.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kanca.errors import ExpressionFailed, InvalidExpression
from kanca.expressions import compile_expression

MEMORY_BYTES = 1 << 30
PROCESSOR_S = 30
NAMES = frozenset({"v", "w"})
MEGABYTE = 2**20

Inputs = Callable[[], dict[str, object]]


@dataclass(frozen=True)
class Case:
    """An expression, what it meets, and what may become of it."""

    source: str
    inputs: Inputs = dict
    outcomes: tuple[str, ...] = ("too_expensive",)
    """Reasons of failures, ``refused`` when it is saved, or ``value``."""


def v(make: Callable[[], object], w: object = 0) -> Inputs:
    return lambda: {"v": make(), "w": w}


def numbers(count: int) -> Inputs:
    return v(lambda: list(range(count)))


def nested(depth: int, wrap: Callable[[object], object]) -> Inputs:
    def make() -> object:
        value: object = 1
        for _ in range(depth):
            value = wrap(value)
        return value

    return v(make)


def walked(depth: int) -> Inputs:
    """A list of 2**depth values that takes little memory, for each list in it is there once."""
    return nested(depth, lambda value: [value, value])


def growing(times: int) -> str:
    """``v`` made four times as large so often: 65,536 times as large with eight."""
    return "[v]" + "".join(f".map(a{n}, a{n} + a{n} + a{n} + a{n})" for n in range(times))


TOO_DEEP = ("too_deep", "too_expensive")
CATASTROPHIC = ("(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){12}", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y")

CASES: dict[str, Case] = {
    # Loops
    "loop in a loop": Case("v.map(x, v.map(y, x * y))", numbers(20_000)),
    "loops that keep all": Case("v.map(x, v.filter(y, true))", numbers(20_000)),
    "loops that stop nowhere": Case("v.all(x, v.all(y, x + y >= 0))", numbers(20_000)),
    "eight loops": Case("v" + ".filter(x, true)" * 8, numbers(200_000)),
    "a loop over keys": Case("v.map(k, v[k])", v(lambda: {str(n): n for n in range(50_000)})),
    "errors that are swallowed": Case("v.exists(x, w / 0 == x || w.size() > x)", numbers(100_000)),
    "a list for each item": Case("v.map(x, v.map(y, [x, y, v, w]))", numbers(2_000)),
    # Growth
    "growth without end": Case(growing(8), outcomes=("refused",)),
    "texts that grow": Case(growing(4), v(lambda: "x" * 1_000_000)),
    "lists that grow": Case(growing(4), v(lambda: [1] * 10_000)),
    "bytes that grow": Case(growing(4), v(lambda: b"x" * 1_000_000)),
    "small texts that grow": Case(growing(4), v(lambda: "x" * 10_000), ("value",)),
    "growth by a condition": Case(
        "[v].map(a, size(a) > 0 ? a + a : '').map(a, w == 0 ? a + a + a + a : a)" + growing(3)[3:],
        v(lambda: "x" * 100_000),
    ),
    "a whole written often": Case("[" + ", ".join(["v"] * 500) + "]", v(lambda: ["x" * 1_000] * 1_000)),
    "maps of maps": Case(
        "{'a': [v, v], 'b': {'c': [v, v, v]}}", v(lambda: {"k" * 1_000 + str(n): n for n in range(20_000)})
    ),
    "a text of many megabytes": Case("v + v == w", v(lambda: "x" * (100 * MEGABYTE), "y")),
    "bytes to a text of three times the size": Case("string(v)", v(lambda: b"\xff" * (50 * MEGABYTE))),
    # Patterns: the library does not backtrack, but a long text is looked at for each part of the pattern
    **{
        f"pattern {pattern}": Case(f"v.matches(r'{pattern}')", v(lambda: "a" * 3_000 + "!"), ("value",))
        for pattern in CATASTROPHIC
    },
    **{
        f"pattern {pattern} over a long text": Case(
            f"v.matches(r'{pattern}')", v(lambda: "a" * (20 * MEGABYTE))
        )
        for pattern in CATASTROPHIC
    },
    "a pattern in a loop": Case(
        r"v.exists(x, x.matches(r'^(a|b)*a(a|b){20}$'))", v(lambda: ["ab" * 500] * 2_000)
    ),
    # Inputs
    "a map of a million keys": Case("v", v(lambda: dict.fromkeys(map(str, range(1_000_000))))),
    "one of a million keys": Case(
        "v.k", v(lambda: dict.fromkeys(map(str, range(1_000_000))) | {"k": 1}), ("value",)
    ),
    "a list of a million numbers": Case("w in v", numbers(1_000_000)),
    "lists in lists": Case("v", nested(100_000, lambda value: [value]), TOO_DEEP),
    "maps in maps": Case("v.a.a == w", nested(100_000, lambda value: {"a": value}), TOO_DEEP),
    "a list that is walked for ever": Case("v", walked(60)),
    "half of a character": Case("v", v(lambda: "\ud800"), ("bad_value",)),
    "unicode": Case(
        "v.contains('\U0001f600') && size(v) > 1", v(lambda: "é\u202e\U0001f600" * 1_000), ("value",)
    ),
    "a number of thousands of digits": Case("v + 1", v(lambda: 10**4_000), ("bad_value",)),
    "keys that are no texts": Case("v", v(lambda: {1: 2}), ("bad_value",)),
    # Numbers and times
    "more than 64 bits": Case("v * v", v(lambda: 2**62), ("out_of_range",)),
    "the smallest by minus one": Case("v / w", v(lambda: -(2**63), -1), ("out_of_range",)),
    "the rest of the smallest by minus one": Case("v % w", v(lambda: -(2**63), -1), ("out_of_range",)),
    "less than none": Case("0u - 1u", outcomes=("out_of_range",)),
    "division by zero": Case("v / w", v(lambda: 1), ("division_by_zero",)),
    "rest by zero": Case("v % w", v(lambda: 1), ("division_by_zero",)),
    "no number": Case("0.0 / double(w)", v(lambda: 1), ("bad_result",)),
    "a number too large for int": Case("int(v)", v(lambda: 1e300), ("out_of_range",)),
    "a text that is no number": Case("int(v)", v(lambda: "9" * 100_000), ("type_mismatch",)),
    "digits of a double": Case("double(v)", v(lambda: "1" * (50 * MEGABYTE))),
    "a time after the last": Case(
        "timestamp('9999-12-31T23:59:59Z') + duration('9000000000s')", outcomes=("out_of_range",)
    ),
    "a time that is none": Case("timestamp(v)", v(lambda: "2026-" * 10_000), ("type_mismatch",)),
    "a duration of many parts": Case("duration(v) == duration(v)", v(lambda: "1h" * MEGABYTE)),
    # The library stops at its largest.
    "a duration too long": Case("duration('999999999999999999h')", outcomes=("value", "type_mismatch")),
}


def outcome_of(case: Case) -> str:
    """What became of it: see ``Case.outcomes``."""
    try:
        compiled = compile_expression(case.source, NAMES, allow_comprehensions=True)
    except InvalidExpression:
        return "refused"
    try:
        json.dumps(compiled.evaluate(case.inputs()), allow_nan=False)
    except ExpressionFailed as failure:
        return str(failure.facts["reason"])
    return "value"


# --- Anything that can be written, over anything that can be sent -----------------------------------------------------

_SIZES = st.sampled_from([1, 1, 2, 50, 3_000, 100_000])
_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from("abk"), inner, max_size=3),
        st.tuples(inner, _SIZES).map(lambda item: [item[0]] * item[1]),
        st.tuples(st.text(max_size=3), _SIZES).map(lambda item: item[0] * item[1]),
    ),
    max_leaves=6,
)
_ATOMS = st.sampled_from(
    [
        *(
            "v",
            "w",
            "x",
            "v.a",
            "w.a.b",
            "v[0]",
            "w['k']",
            "v.?a",
            "1",
            "-1",
            "2u",
            "0.0",
            "9223372036854775807",
        ),
        *("'ab'", "'é'", "b'a'", "true", "null", "[]", "{}", "int", "duration('1h')"),
        "timestamp('2020-01-01T00:00:00Z')",
    ]
)
_OPERATORS = st.sampled_from(["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "in", "&&", "||"])
_FUNCTIONS = st.sampled_from(
    ["size", "string", "bytes", "int", "uint", "double", "type", "dyn", "timestamp", "duration", "nope"]
)
_MACROS = st.sampled_from(["all", "exists", "exists_one", "map", "filter"])
_PATTERNS = st.sampled_from(["a", "(a+)+$", r"\w{9}", "(a|b)*a(a|b){20}", "(", "x{9999}", "[^a]*", "(?i)é"])


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, _OPERATORS, inner).map(lambda parts: "({} {} {})".format(*parts)),
        st.tuples(inner, inner, inner).map(lambda parts: "({} ? {} : {})".format(*parts)),
        st.tuples(inner, inner).map(lambda parts: "[{}, {}]".format(*parts)),
        st.tuples(inner, inner).map(lambda parts: "{{{}: {}}}".format(*parts)),
        st.tuples(inner, inner).map(lambda parts: "{}[{}]".format(*parts)),
        st.tuples(_FUNCTIONS, inner).map(lambda parts: "{}({})".format(*parts)),
        st.tuples(inner, _MACROS, inner).map(lambda parts: "{}.{}(x, {})".format(*parts)),
        st.tuples(inner, inner, inner).map(lambda parts: "{}.map(x, {}, {})".format(*parts)),
        st.tuples(inner, _PATTERNS).map(lambda parts: "{}.matches(r'{}')".format(*parts)),
        st.tuples(inner, inner).map(lambda parts: "{}.contains({})".format(*parts)),
        inner.map("-{}".format),
        inner.map("has({}.a)".format),
        inner.map("{}.getFullYear()".format),
    )


sources = st.recursive(_ATOMS, _larger, max_leaves=14)


@given(sources, _values, _values, st.booleans())
@settings(max_examples=400, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def anything(source: str, first: object, second: object, allow_comprehensions: bool) -> None:
    """Raises whatever is neither a value nor one of our two errors."""
    try:
        compiled = compile_expression(source, NAMES | {"x"}, allow_comprehensions=allow_comprehensions)
        value = compiled.evaluate({"v": first, "w": second, "x": first})
    except (InvalidExpression, ExpressionFailed):
        return
    json.dumps(value, allow_nan=False)


def _say(name: str, outcome: str) -> None:
    print(json.dumps([name, outcome]), flush=True)  # noqa: T201 - it is asked for on standard output


def main() -> None:
    """Do all of it, within limits."""
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_S, PROCESSOR_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    if sys.argv[1:] == ["anything"]:
        anything()
        _say("anything", "is bounded")
        return
    for name, case in CASES.items():
        _say(name, outcome_of(case))


if __name__ == "__main__":
    main()
