"""Nothing that can be written or sent makes anything but our own two errors."""

from __future__ import annotations

import json

import cel
from hypothesis import given, settings
from hypothesis import strategies as st

from kanca.errors import ExpressionFailed, InvalidExpression
from kanca.expressions import compile_expression
from kanca.expressions.parser import parse
from kanca.expressions.tree import Comprehension, Name, walk

NAMES = frozenset({"event", "run"})

_PIECES = st.sampled_from(
    [
        *("event", "run", "x", "y", "event.data", "event['a']", "has(event.a)", "size(event)", "type", "int"),
        *("1", "2u", "1.5", "0x1f", "-1", "9223372036854775807", "true", "null", "in", "''", '"a"', "r'\\d'"),
        *(
            "'''a'''",
            "b'x'",
            "'\\n'",
            "'\\ud800'",
            "'\\x'",
            "// c\n",
            " ",
            "\n",
            "`a`",
            "é",
            "\x00",
            "\ud800",
        ),
        *("+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "!", "?", ":", ".", ",", "(", ")"),
        *("[", "]", "{", "}", ".map(x, x)", ".all(x, ", ".filter(y, y)", ".matches('a+')", ".matches('(')"),
        *(
            "timestamp(",
            "duration('1h')",
            "string(",
            ".contains(",
            ".size()",
            "[0]",
            "@result",
            "optional.of(1)",
        ),
    ]
)
sources = st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=14).map("".join))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(sources, st.booleans())
@settings(max_examples=600, deadline=None)
def test_any_text_is_an_expression_or_refused(source: str, allow_comprehensions: bool) -> None:
    offset = 0
    try:
        compile_expression(source, NAMES, allow_comprehensions=allow_comprehensions)
    except InvalidExpression as error:
        offset = error.facts["offset"]
    assert 0 <= offset <= len(source)


@given(sources, json_values, json_values)
@settings(max_examples=600, deadline=None)
def test_any_expression_over_any_json_has_a_json_value_or_fails(
    source: str, event: object, run: object
) -> None:
    try:
        compiled = compile_expression(source, NAMES, allow_comprehensions=True)
        value = compiled.evaluate({"event": event, "run": run})
    except (InvalidExpression, ExpressionFailed):
        return
    json.dumps(value, allow_nan=False)


operators = st.sampled_from([" + ", " - ", " * ", " / ", " % ", " == ", " < ", " in ", " && ", " || "])
atoms = st.sampled_from(
    [
        *(
            "event",
            "event.a",
            "event.a.b",
            "run[0]",
            "run['k']",
            "x",
            "1",
            "1u",
            "2.5",
            "'t'",
            "b't'",
            "true",
            "null",
        ),
        *("[]", "{}", "timestamp('2020-01-01T00:00:00Z')", "duration('1s')", "int", "-9223372036854775808"),
    ]
)
valid_sources = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, operators, inner).map("".join).map("({})".format),
        st.tuples(inner, inner, inner).map("({0[0]} ? {0[1]} : {0[2]})".format),
        st.lists(inner, max_size=3).map(", ".join).map("[{}]".format),
        st.tuples(inner, inner).map("{{{0[0]}: {0[1]}}}".format),
        inner.map("!({})".format),
        inner.map("-({})".format),
        inner.map("size({})".format),
        inner.map("string({})".format),
        inner.map("double({})".format),
        st.tuples(inner, inner).map("{0[0]}[{0[1]}]".format),
        st.tuples(inner, inner).map("{0[0]}.map(x, {0[1]})".format),
        st.tuples(inner, inner).map("{0[0]}.filter(x, {0[1]})".format),
        st.tuples(inner, inner).map("{0[0]}.exists(x, {0[1]})".format),
    ),
    max_leaves=10,
)


@given(valid_sources, json_values)
@settings(max_examples=600, deadline=None)
def test_a_well_formed_expression_has_a_value_or_fails_as_ours(source: str, event: object) -> None:
    try:
        compiled = compile_expression(source, NAMES | {"x"}, allow_comprehensions=True)
        compiled.evaluate({"event": event, "run": [event], "x": event})
    except (InvalidExpression, ExpressionFailed):
        return


@given(valid_sources)
@settings(max_examples=300, deadline=None)
def test_the_names_found_here_are_those_that_the_library_finds(source: str) -> None:
    nodes = list(walk(parse(source)))
    names = {node.name for node in nodes if isinstance(node, Name)}
    loops = {node.variable for node in nodes if isinstance(node, Comprehension)}
    found = set(cel.compile(source).variables()) - {"@result"}
    assert names <= found <= names | loops
