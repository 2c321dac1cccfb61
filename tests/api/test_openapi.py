"""What the API says of itself is whole: for every route a summary, answers, examples and refusals of one form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no types

from kanca.api.app import api_document
from kanca.api.problems import MEDIA_TYPE
from tests.api.conformity import ROUTES

DOCUMENT = api_document()
OPERATIONS = [
    (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
]
NAMED = pytest.mark.parametrize(
    ("method", "path", "operation"),
    OPERATIONS,
    ids=[operation["operationId"] for *_, operation in OPERATIONS],
)
PUBLIC = ("/health",)


def test_every_route_is_in_the_document() -> None:
    served = {(method.lower(), route.path) for route in ROUTES for method in route.methods or ()}
    assert served == {(method, path) for method, path, _ in OPERATIONS}


def test_operation_ids_are_readable_and_unique() -> None:
    names = [operation["operationId"] for *_, operation in OPERATIONS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)+", name) for name in names)


@NAMED
def test_every_route_says_what_it_does(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"]


@NAMED
def test_every_answer_has_an_example(method: str, path: str, operation: dict[str, Any]) -> None:
    status = next(status for status in operation["responses"] if status.startswith("2"))
    for media in operation["responses"][status]["content"].values():
        assert "example" in media or _examples(media["schema"])


@NAMED
def test_every_body_has_an_example(method: str, path: str, operation: dict[str, Any]) -> None:
    if "requestBody" in operation:
        assert _examples(operation["requestBody"]["content"]["application/json"]["schema"])


@NAMED
def test_every_refusal_is_a_documented_problem(method: str, path: str, operation: dict[str, Any]) -> None:
    refusals = {
        status: _response(response)
        for status, response in operation["responses"].items()
        if int(status) >= 400 and not path.startswith(PUBLIC)
    }
    for status, response in refusals.items():
        [(media_type, media)] = response["content"].items()
        assert media_type == MEDIA_TYPE
        assert media["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert response["description"]
        for code, example in media["examples"].items():
            assert example["value"]["code"] == code
            assert str(example["value"]["status"]) == status
            assert f"`{code}`" in response["description"]
    if not path.startswith(PUBLIC) and not path.endswith("/jwks.json"):
        assert {"401", "403"} <= refusals.keys()
    assert ("413" in refusals) == ("requestBody" in operation)
    assert ("422" in refusals) == bool({"parameters", "requestBody"} & operation.keys())


def test_every_example_is_valid_against_its_schema() -> None:
    count = 0
    for name, schema in DOCUMENT["components"]["schemas"].items():
        reference = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
        for example in schema.get("examples", ()):
            Draft202012Validator(reference).validate(example)
            count += 1
    assert count > 20


def _response(response: dict[str, Any]) -> dict[str, Any]:
    """The response, or the shared one that it refers to."""
    name = response.get("$ref", "").rpartition("/")[2]
    return DOCUMENT["components"]["responses"][name] if name else response


def _examples(schema: dict[str, Any]) -> list[Any]:
    return [example for part in _resolved(schema) for example in part.get("examples", ())]


def _resolved(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema, or what it refers to."""
    if "$ref" in schema:
        yield DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield schema
    for choice in schema.get("anyOf", ()):
        yield from _resolved(choice)
