"""What the API says of itself: every way to be refused is a problem body, documented with its codes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from kanca.api.problems import MEDIA_TYPE, problem
from kanca.errors import InvalidInput, KancaError

_VALIDATION_MODELS = ("HTTPValidationError", "ValidationError")
_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}


class InvalidRequest(InvalidInput):
    """The request does not have the form that this route takes; `errors` says where and why."""

    code = "invalid_request"
    title = "Invalid request"


class PayloadTooLarge(KancaError):
    """The request's body is larger than 1 MB."""

    code = "payload_too_large"
    title = "Body too large"
    status = 413


class Problem(BaseModel):
    """Why a request was refused (RFC 9457). Some codes come with further members."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="`urn:kanca:problem:` and the code.")
    title: str = Field(description="The same sentence for every problem with this code.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request, for people.")
    code: str = Field(description="What a program decides by. A code never changes its meaning.")


def refused_with(*errors: type[KancaError]) -> dict[int | str, dict[str, Any]]:
    """The documentation of these refusals, as the ``responses`` of a route or a router."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        response = responses.setdefault(
            error.status, {"description": "", "content": {MEDIA_TYPE: {"examples": {}}}}
        )
        sentence = (error.__doc__ or error.title).splitlines()[0]
        response["description"] = " ".join(
            filter(None, [response["description"], f"`{error.code}`: {sentence}"])
        )
        example = problem(error.status, error.code, error.title, sentence)
        response["content"][MEDIA_TYPE] |= {"schema": _PROBLEM_REF}
        response["content"][MEDIA_TYPE]["examples"][error.code] = {"value": example}
    return responses


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the app: FastAPI's, with this API's refusals in the place of FastAPI's own."""
    if app.openapi_schema is None:
        app.openapi_schema = _with_problems(FastAPI.openapi(app))
    return app.openapi_schema


def _with_problems(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _VALIDATION_MODELS:
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    for path in document["paths"].values():
        for operation in path.values():
            _document_bad_requests(operation)
    return document


def _document_bad_requests(operation: dict[str, Any]) -> None:
    """Say what FastAPI answers by itself: the request does not fit, or its body is too large."""
    responses = operation["responses"]
    takes_something = "parameters" in operation or "requestBody" in operation
    own = responses.pop("422", None) if _is_ours(responses.get("422")) else None
    responses.pop("422", None)
    if takes_something:
        responses["422"] = _merged(refused_with(InvalidRequest)[422], own)
    elif own:
        responses["422"] = own
    if "requestBody" in operation:
        responses["413"] = refused_with(PayloadTooLarge)[413]


def _is_ours(response: dict[str, Any] | None) -> bool:
    return response is not None and MEDIA_TYPE in response["content"]


def _merged(first: dict[str, Any], second: dict[str, Any] | None) -> dict[str, Any]:
    if second is None:
        return first
    content = first["content"][MEDIA_TYPE] | second["content"][MEDIA_TYPE]
    content["examples"] = first["content"][MEDIA_TYPE]["examples"] | second["content"][MEDIA_TYPE]["examples"]
    return {
        "description": f"{first['description']} {second['description']}",
        "content": {MEDIA_TYPE: content},
    }
