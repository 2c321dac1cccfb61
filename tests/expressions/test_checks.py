from __future__ import annotations

import cel
import pytest

from kanca.errors import InvalidExpression
from kanca.expressions import compile_expression
from kanca.expressions.checks import FUNCTIONS, METHODS, TYPE_NAMES

NAMES = frozenset({"event", "run"})


def refusal_of(source: str, *, allow_comprehensions: bool = True) -> str:
    with pytest.raises(InvalidExpression) as caught:
        compile_expression(source, NAMES, allow_comprehensions=allow_comprehensions)
    return caught.value.detail


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    assert refusal_of("event.type == evnt.type") == (
        "line 1, column 15: unknown name 'evnt'; the names here are event, run"
    )


def test_the_variable_of_a_loop_is_known_only_inside_it() -> None:
    compile_expression("event.items.all(x, x.id == event.id)", NAMES, allow_comprehensions=True)
    assert "unknown name 'x'" in refusal_of("event.items.all(x, x.id == 1) && x.id == 1")
    assert "unknown name 'x'" in refusal_of("x.all(x, true)")
    assert "unknown name 'y'" in refusal_of("event.a.map(x, event.b.map(y, x)).map(z, y)")


def test_a_loop_may_reuse_the_name_of_an_outer_variable() -> None:
    compiled = compile_expression("event.a.map(event, event + 1)", NAMES, allow_comprehensions=True)
    assert compiled.evaluate({"event": {"a": [1, 2]}}) == [2, 3]


def test_field_names_and_keys_are_not_variables() -> None:
    compiled = compile_expression("event.foo == {'bar': 1}.bar", NAMES, allow_comprehensions=False)
    assert compiled.names == {"event"}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("foo(event)", "line 1, column 1: unknown function 'foo'"),
        ("event.foo()", "line 1, column 7: unknown function 'foo'"),
        ("contains(event.a, 'b')", "line 1, column 1: contains() is a method: write value.contains(…)"),
        ("exists(event.a, x, true)", "line 1, column 1: exists() is a method: write value.exists(…)"),
        ("event.a.int()", "line 1, column 9: int() is no method: write int(value)"),
        ("size(event, 1)", "line 1, column 1: size() takes one argument, not 2"),
        ("event.a.contains()", "line 1, column 9: .contains() takes 1 argument(s), not 0"),
        ("optional.none()", "line 1, column 10: unknown function 'none'"),
    ],
)
def test_a_function_that_there_is_not_is_refused(source: str, sentence: str) -> None:
    assert refusal_of(source) == sentence


SAMPLES = ("1", "1u", "1.5", "'1'", "b'1'", "'1s'", "'2020-01-01T00:00:00Z'", "[1]", "{'a': 1}")
TIMES = ("timestamp('2020-01-01T00:00:00Z')", "duration('1s')")


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_that_is_allowed_exists_in_the_library(name: str) -> None:
    assert any(runs(f"{name}({sample})") for sample in SAMPLES)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_that_is_allowed_exists_in_the_library(name: str) -> None:
    arguments = "'1'" if METHODS[name] else ""
    assert any(runs(f"{sample}.{name}({arguments})") for sample in SAMPLES + TIMES)


@pytest.mark.parametrize("name", sorted(TYPE_NAMES))
def test_every_type_name_is_known_to_the_library(name: str) -> None:
    assert cel.evaluate(f"type({name}) == type") is True


def runs(source: str) -> bool:
    try:
        cel.evaluate(source)
    except Exception:  # noqa: BLE001 — whatever the library raises, the sample did not run
        return False
    return True


def test_type_names_can_be_compared() -> None:
    compiled = compile_expression("type(event.a) == int", NAMES, allow_comprehensions=False)
    assert compiled.evaluate_bool({"event": {"a": 1}})


@pytest.mark.parametrize("macro", ["all", "exists", "exists_one", "existsOne", "map", "filter"])
def test_no_list_is_run_over_where_comprehensions_are_not_allowed(macro: str) -> None:
    shown = "exists_one" if macro == "existsOne" else macro
    assert refusal_of(f"event.a.{macro}(x, x)", allow_comprehensions=False) == (
        f"line 1, column 9: {shown}() is not allowed here: it runs over a list"
    )


def test_two_nested_comprehensions_are_allowed_and_three_are_not() -> None:
    compile_expression("event.a.map(x, x.map(y, y))", NAMES, allow_comprehensions=True)
    assert "nested more than 2 deep" in refusal_of("event.a.map(x, x.map(y, y.map(z, z)))")


def test_comprehensions_one_after_another_are_not_nested_but_counted() -> None:
    chain = "event.a" + ".filter(x, true)" * 8
    compile_expression(chain, NAMES, allow_comprehensions=True)
    assert "more than 8 of" in refusal_of(chain + ".map(x, x)")


def test_a_type_name_or_reserved_word_cannot_be_a_loop_variable() -> None:
    assert "'int' cannot be the name of a variable" in refusal_of("event.a.all(int, true)")
    assert "'if' is a reserved word" in refusal_of("event.a.all(if, true)")


def test_a_pattern_must_be_a_literal() -> None:
    assert "must be a literal text" in refusal_of("event.a.matches(event.b)")
    assert "must be a literal text" in refusal_of("event.a.matches('a' + 'b')")


def test_a_pattern_that_is_no_regular_expression_is_refused_where_it_stands() -> None:
    assert refusal_of("event.a.matches('(')") == (
        "line 1, column 17: this pattern is not a valid regular expression"
    )


def test_a_source_that_is_too_long_is_refused() -> None:
    assert "longer than 4096 characters" in refusal_of("event.a == '" + "x" * 4096 + "'")


def test_a_source_with_half_a_character_is_refused() -> None:
    assert refusal_of("event.a == '\ud800'") == "line 1, column 13: half of a character (a lone surrogate)"


def test_what_takes_too_long_whatever_the_input_is_refused_when_saved() -> None:
    ones = "[" + ",".join(["1"] * 400) + "]"
    assert "takes too long whatever its input" in refusal_of(f"{ones}.map(x, {ones}.map(y, x + y))")
