from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.errors import InvalidInput
from kanca.outbound.schemas import DIALECT, MAX_NESTING, MAX_PROBLEMS, DataSchema, Misfit

ORDER = {
    "$schema": DIALECT,
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line~1item"}},
    },
    "required": ["id"],
    "$defs": {"line/item": {"type": "object", "properties": {"sku": {"pattern": "^[A-Z]+$"}}}},
}


def test_it_is_said_where_data_do_not_fit_but_not_what_they_are() -> None:
    misfits = DataSchema(ORDER).misfits({"lines": [{"sku": "A"}, {"sku": "a-secret"}]})

    assert {misfit.location for misfit in misfits} == {"", "/lines/1/sku"}
    assert any("id" in misfit.message for misfit in misfits)
    assert "a-secret" not in str(misfits)
    assert DataSchema(ORDER).misfits({"id": 1, "lines": []}) == []


def test_only_so_many_misfits_are_told() -> None:
    assert len(DataSchema({"items": {"type": "string"}}).misfits([1] * 1_000)) == MAX_PROBLEMS


def test_formats_are_checked() -> None:
    assert DataSchema({"format": "date-time"}).misfits("yesterday")


def test_data_that_cannot_be_checked_do_not_fit() -> None:
    assert DataSchema({"type": "string"}).misfits("\ud800") == [
        Misfit("", "the data have something that cannot be checked")
    ]


@pytest.mark.parametrize("schema", [True, {}, {"properties": {"$ref": {"type": "string"}}}, {"const": 1}])
def test_schemas_that_say_little_are_schemas(schema: Any) -> None:
    assert DataSchema(schema).misfits(1) == []


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "strin"}, "no JSON Schema"),
        ({"properties": []}, "no JSON Schema"),
        (3, "no JSON Schema"),
        ('{"$ref":"https://example.com/"}', "no JSON Schema"),
        (None, "no JSON Schema"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "must be one of"),
        ({"$schema": 3}, "must be one of"),
        ({"$ref": "https://example.com/schema.json"}, "itself only"),
        ({"$ref": "file:///etc/passwd"}, "itself only"),
        ({"$ref": DIALECT}, "itself only"),
        ({"$ref": "#name"}, "itself only"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "itself only"),
        ({"$ref": "#/$defs/none"}, "nothing at"),
        ({"$id": "https://example.com/a"}, "must not have `\\$id`"),
        ({"$defs": {"a": {"$id": "b"}}}, "must not have `\\$id`"),
        ({"$dynamicRef": "#a"}, "must not have"),
        ({"$ref": "#"}, "contains itself"),
        ({"properties": {"child": {"$ref": "#"}}}, "contains itself"),
        ({"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/a"}}},
          "$ref": "#/$defs/a"}, "contains itself"),
        ({"pattern": "(a)\\1"}, "no JSON Schema"),
        ({"pattern": "^(?=a)"}, "no JSON Schema"),
        ({"patternProperties": {"(?!a)": {}}}, "no JSON Schema"),
        ({"pattern": "(a{1000}){1000}"}, "no JSON Schema"),
        ({"description": "a" * 70_000}, "larger than 64 KB"),
    ],
)  # fmt: skip
def test_what_could_not_be_checked_safely_is_refused(schema: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        DataSchema(schema)


def test_a_schema_that_unfolds_into_billions_of_parts_is_refused_at_once() -> None:
    doubling: dict[str, Any] = {"a0": {"type": "string"}}
    for n in range(1, 40):
        doubling[f"a{n}"] = {"anyOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2}

    with pytest.raises(InvalidInput, match="more than 10000 parts"):
        DataSchema({"$defs": doubling, "$ref": "#/$defs/a30"})
    assert DataSchema({"$defs": doubling, "$ref": "#/$defs/a8"}).misfits("text") == []


def test_a_schema_that_is_deeper_than_may_be_once_unfolded_is_refused() -> None:
    chain: dict[str, Any] = {"a0": {"type": "string"}}
    for n in range(1, sys.getrecursionlimit()):
        chain[f"a{n}"] = {"$ref": f"#/$defs/a{n - 1}"}
    chain["short"] = {"allOf": [{"$ref": "#/$defs/a40"}, {"items": {"$ref": "#/$defs/half"}}]}
    chain["half"] = {"items": {"$ref": "#/$defs/a40"}}

    with pytest.raises(InvalidInput, match=f"more than {MAX_NESTING} levels"):
        DataSchema({"$defs": chain, "$ref": f"#/$defs/a{MAX_NESTING}"})
    assert DataSchema({"$defs": chain, "$ref": "#/$defs/short"}).misfits("text") == []


def test_a_pattern_takes_no_longer_than_its_text() -> None:
    # With a backtracking engine this would outlive the universe.
    assert DataSchema({"pattern": "^(a+)+$"}).misfits("a" * 100_000 + "b")


keywords = st.sampled_from(
    ["$ref", "$defs", "type", "items", "properties", "allOf", "anyOf", "not", "pattern", "enum", "required",
     "if", "then", "minimum", "$id", "$schema", "format", "prefixItems", "dependentSchemas", "uniqueItems"]
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["#", "#/$defs/a", "string"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keywords | st.sampled_from("ab"), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(schema=values, data=values)
def test_whatever_the_schema_it_is_refused_or_checks(schema: Any, data: Any) -> None:
    try:
        checked = DataSchema(schema)
    except InvalidInput:
        return
    assert isinstance(checked.misfits(data), list)
