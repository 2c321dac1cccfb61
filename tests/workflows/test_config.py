from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from kanca.errors import ExpressionFailed
from kanca.workflows.config import Cel, Dynamic, DynamicResponse, DynamicText, expressions_in

SCOPE: dict[str, Any] = {
    "event": {"data": {"total": 5, "name": "Ada"}},
    "input": [1, 2],
    "steps": {},
    "run": {},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text().filter(lambda text: not text.startswith("=")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")
    when: Cel
    value: Dynamic
    texts: dict[str, DynamicText] = {}


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("=event.data.total * 2", 10),
        (
            {"a": ["=event.data.name", "name"], "b": {"c": "=input"}},
            {"a": ["Ada", "name"], "b": {"c": [1, 2]}},
        ),
        ("==x", "=x"),
        ("===x", "==x"),
        ("", ""),
        ({"=event": 1}, {"=event": 1}),
        ([None, True, 1.5], [None, True, 1.5]),
    ],
)
def test_texts_that_start_with_an_equals_sign_are_expressions(value: Any, result: Any) -> None:
    assert Dynamic(value).evaluate(SCOPE) == result


@given(JSON)
def test_everything_else_stands_for_itself(value: Any) -> None:
    assert Dynamic(value).evaluate(SCOPE) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=event.data.name", "Ada"),
        ("=event.data.total", "5"),
        ("=event.data.total > 1", "true"),
        ("plain", "plain"),
    ],
)
def test_a_text_may_come_from_a_number(value: str, text: str) -> None:
    assert DynamicText(value).text(SCOPE) == text


@pytest.mark.parametrize("value", ["=event.data", "=input", "=null"])
def test_a_text_cannot_come_from_anything_else(value: str) -> None:
    with pytest.raises(ExpressionFailed):
        DynamicText(value).text(SCOPE)


def test_only_a_text_without_an_expression_is_a_literal() -> None:
    assert DynamicText("x").literal == "x"
    assert DynamicText("=event.id").literal is None


def test_the_place_of_a_bad_expression_is_told() -> None:
    with pytest.raises(ValidationError) as refused:
        Config.model_validate({"when": "1 +", "value": {"a": "=nope"}, "texts": {"b": "=(", "c": 5}})
    found = {error["loc"]: (error["type"], error["msg"]) for error in refused.value.errors()}
    assert found[("when",)][0] == "bad_expression"
    assert found[("value",)] == (
        "bad_expression",
        "in a: line 1, column 1: unknown name 'nope'; the names here are event, input, run, steps",
    )
    assert found[("texts", "b")][0] == "bad_expression"
    assert found[("texts", "c")][0] == "string_type"


@pytest.mark.parametrize(
    ("value", "beginning"),
    [
        ("=event.id +", "line 1, column 11: "),
        ("=event.id\n  + nope", "line 2, column 5: "),
        ({"to": [1, {"name": "=(event.id"}]}, "in to.1.name: line 1, column 10: "),
        ({"x" * 100: "=nope"}, f"in {'x' * 40}: line 1, column 1: "),
        ({"\ud800{}": "=nope"}, "in ?{}: line 1, column 1: "),
    ],
)
def test_a_bad_expression_is_told_with_its_place_in_the_value_and_the_position_in_it(
    value: object, beginning: str
) -> None:
    with pytest.raises(PydanticCustomError) as refused:
        Dynamic(value)
    assert refused.value.message().startswith(beginning)
    assert refused.value.context is not None
    position = refused.value.context["line"], refused.value.context["column"]
    assert "line {}, column {}".format(*position) in beginning


def test_what_is_nested_too_deeply_is_refused() -> None:
    value: Any = 1
    for _ in range(40):
        value = [value]
    with pytest.raises(PydanticCustomError, match="nested too deeply"):
        Dynamic(value)


def test_all_expressions_of_a_config_are_found() -> None:
    config = Config.model_validate(
        {
            "when": "event.id == '1'",
            "value": [{"a": "=event.type"}, "x"],
            "texts": {"b": "=event.id", "c": "y"},
        }
    )
    assert sorted(found.source for found in expressions_in(config)) == [
        "event.id",
        "event.id == '1'",
        "event.type",
    ]


def test_forms_can_be_drawn_from_the_schema() -> None:
    properties = Config.model_json_schema()["properties"]
    assert properties["when"] == {"type": "string", "format": "cel", "title": "When"}
    assert properties["value"] == {"format": "cel-values", "title": "Value"}
    assert properties["texts"]["additionalProperties"] == {"type": "string", "format": "cel-values"}


def test_only_where_there_is_a_response_expressions_may_speak_of_it() -> None:
    value = DynamicResponse({"a": ["=response.status + event.data.total"]})
    assert value.evaluate(SCOPE | {"response": {"status": 200}}) == {"a": [205]}
    with pytest.raises(PydanticCustomError, match="unknown name 'response'"):
        Dynamic("=response.status")


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("https://a.example", "https://a.example"),
        ("==x", "=x"),
        ("='a/' + event.data.name + '/b'", "a/"),
        ("='a/' + ('b' + event.data.name)", "a/"),
        ("=('a/' + event.data.name) + 'b'", "a/"),
        ("=event.data.name + 'a'", ""),
        ("=event.data.total > 1.0 ? 'a' : 'b'", ""),
        ("='a'.matches('a') ? 'a' : 'b'", ""),
        ("=string(1) + 'a'", ""),
        (r"='\x68ttps://' + event.data.name", "https://"),
    ],
)
def test_what_a_text_begins_with_is_known_as_far_as_it_is_written(text: str, prefix: str) -> None:
    assert DynamicText(text).prefix == prefix
