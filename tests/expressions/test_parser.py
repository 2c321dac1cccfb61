from __future__ import annotations

import cel
import pytest

from kanca.errors import InvalidExpression
from kanca.expressions.lexer import text_of
from kanca.expressions.parser import MAX_DEPTH, parse
from kanca.expressions.tree import (
    Comprehension,
    Conditional,
    Literal,
    Name,
    Operation,
    depth_of,
    walk,
)


def names_in(source: str) -> set[str]:
    return {node.name for node in walk(parse(source)) if isinstance(node, Name)}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("a.b.c", {"a"}),
        ("a['b'].c[d]", {"a", "d"}),
        ("{'key': x, y: 1}", {"x", "y"}),
        ("'a + b' + \"c\"", set()),
        (r"'it\'s a' + b", {"b"}),
        (r"r'\' + b", {"b"}),
        ("'''a ' b ''' + c", {"c"}),
        ('"""a " b\n""" + c', {"c"}),
        ("b'a' + c", {"c"}),
        ("a // b\n + c", {"a", "c"}),
        ("'// not a comment' + a", {"a"}),
        ("size(a) + a.size()", {"a"}),
        ("1e5 + 0x1f + 7u + .5 - x1e5", {"x1e5"}),
        ("a in b && !c || -d < e ? f : g", {"a", "b", "c", "d", "e", "f", "g"}),
        ("xs.map(x, x + y)", {"xs", "x", "y"}),
    ],
)
def test_names_are_what_the_library_sees_as_variables(source: str, names: set[str]) -> None:
    assert names_in(source) == names
    assert set(cel.compile(source).variables()) - {"@result"} == names


def test_operators_bind_as_in_cel() -> None:
    tree = parse("a || b && c == d + e * -f ? g : h ? i : j")
    assert isinstance(tree, Conditional)
    assert isinstance(tree.otherwise, Conditional)
    either = tree.condition
    assert isinstance(either, Operation)
    assert either.operator == "||"
    both = either.operands[1]
    assert isinstance(both, Operation)
    assert both.operator == "&&"
    equal = both.operands[1]
    assert isinstance(equal, Operation)
    assert equal.operator == "=="
    plus = equal.operands[1]
    assert isinstance(plus, Operation)
    assert plus.operator == "+"


def test_subtraction_is_left_associative() -> None:
    tree = parse("1 - 2 - 3")
    assert isinstance(tree, Operation)
    assert isinstance(tree.operands[0], Operation)
    assert isinstance(tree.operands[1], Literal)


def test_long_chains_of_and_are_not_deep() -> None:
    assert depth_of(parse(" && ".join(["a.b == 1"] * 100))) == 4


def test_a_map_may_have_a_condition() -> None:
    tree = parse("xs.map(x, x > 1, x * 2)")
    assert isinstance(tree, Comprehension)
    assert len(tree.body) == 2


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ("'a'", "a"),
        ('"\\u00e9\\x41\\101\\n\\?"', "éA" + "A\n?"),
        ("'\\U0001F600'", "😀"),
        ("r'\\d'", "\\d"),
        ("'''a'b'''", "a'b"),
        ('""', ""),
        ("''''''", ""),
        ('R"""x"y"""', 'x"y'),
    ],
)
def test_text_literals_stand_for_what_the_library_reads(literal: str, text: str) -> None:
    assert text_of(literal) == text
    assert cel.evaluate(literal) == text


@pytest.mark.parametrize(
    ("source", "line", "column", "sentence"),
    [
        ("", 1, 1, "the expression ends where a value was expected"),
        ("a +", 1, 4, "the expression ends where a value was expected"),
        ("a b", 1, 3, "there is 'b' where an operator or the end of the expression was expected"),
        ("a\n  == )", 2, 6, "there is ')' where a value was expected"),
        ("f(a", 1, 4, "the expression ends where ',' or ')' was expected"),
        ("[1 2]", 1, 4, "there is '2' where ',' or ']' was expected"),
        ("{'a'}", 1, 5, "there is '}' where ':' after the key was expected"),
        ("a ? b", 1, 6, "the expression ends where ':' of the condition was expected"),
        ("'abc", 1, 1, "this text is not closed, or has an escape that CEL does not know"),
        ("'a\\qb'", 1, 1, "this text is not closed, or has an escape that CEL does not know"),
        ("'\\ud800'", 1, 1, "this text has an escape that is not a character"),
        ("a = b", 1, 3, "'=' is not an operator; write '=='"),
        ("a & b", 1, 3, "'&' is not an operator; write '&&'"),
        ("a.?b", 1, 3, "there is '?' where the name of a field was expected"),
        ("a.in", 1, 3, "there is 'in' where the name of a field was expected"),
        ("Type{a: 1}", 1, 5, "there is '{' where an operator or the end of the expression was expected"),
        ("a; b", 1, 2, "unexpected character ';'"),
        ("9223372036854775808", 1, 1, "this number is too large"),
        ("1e400", 1, 1, "this number is too large"),
        ("if", 1, 1, "'if' is a reserved word of CEL"),
        ("has(a)", 1, 1, "has() takes one field, as in has(event.data.name)"),
        ("xs.all(x)", 1, 4, "all() takes a variable and a condition"),
        ("xs.map(x.y, x)", 1, 4, "map() takes a variable, an optional condition and a value"),
        ("(" * 50 + "1" + ")" * 50, 1, 41, f"the expression is nested more than {MAX_DEPTH} deep"),
        ("+".join(["1"] * 50), 1, 1, f"the expression is nested more than {MAX_DEPTH} deep"),
    ],
)
def test_a_mistake_is_reported_where_it_is(source: str, line: int, column: int, sentence: str) -> None:
    with pytest.raises(InvalidExpression) as caught:
        parse(source)
    assert caught.value.detail == f"line {line}, column {column}: {sentence}"
    assert (caught.value.facts["line"], caught.value.facts["column"]) == (line, column)


def test_the_smallest_integer_can_be_written() -> None:
    assert isinstance(parse("-9223372036854775808"), Operation)
