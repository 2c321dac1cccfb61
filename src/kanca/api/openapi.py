"""What the API says of itself: every way to be refused is a problem body, documented with its codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from kanca.api.permissions import PUBLIC_PATHS
from kanca.api.portal_access import is_for_tenants
from kanca.api.problems import MEDIA_TYPE, problem
from kanca.errors import (
    InvalidRequest,
    KancaError,
    PayloadTooLarge,
    ReadOnlyToken,
    TokenExpired,
)

_VALIDATION_MODELS = ("HTTPValidationError", "ValidationError")
_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
_ADMIN_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "KANCA_ADMIN_KEY, or an API key whose role may use the route. Without that setting, a server on"
    " loopback asks for no key. In a browser, the cookie of `POST /api/session` takes a key's place.",
}

_PORTAL_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token from `POST /api/portal/tokens`: it opens what belongs to its tenant.",
}


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


def complete(
    document: dict[str, Any], models: Iterable[type[BaseModel]], besides: Mapping[str, Any]
) -> dict[str, Any]:
    """FastAPI's document with this API's refusals in the place of FastAPI's own, and whole examples of its answers.

    To it comes what is served ``besides``: ``paths`` and ``components`` as they are.
    """
    schemas = document["components"]["schemas"]
    for name in _VALIDATION_MODELS:
        schemas.pop(name, None)
    schemas["Problem"] = Problem.model_json_schema()
    for model in models:
        own = model.model_json_schema()
        for name, schema in {model.__name__: own, **own.get("$defs", {})}.items():
            if "examples" in schema:
                # FastAPI leaves out of them whatever is null.
                schemas[name]["examples"] = schema["examples"]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            operation["security"] = [] if path in PUBLIC_PATHS else [{"admin_key": []}]
            if is_for_tenants(method.upper(), path):
                _document_tenants(operation)
            _document_bad_requests(operation)
            _share(operation["responses"], document["components"].setdefault("responses", {}))
    document["components"]["securitySchemes"] = {"admin_key": _ADMIN_KEY, "portal_token": _PORTAL_TOKEN}
    document["paths"] |= besides["paths"]
    for kind, named in besides["components"].items():
        document["components"][kind] |= named
    return document


def _share(responses: dict[str, Any], shared: dict[str, Any]) -> None:
    """Refer to refusals that many routes have in common, instead of repeating them."""
    for status, response in responses.items():
        if _is_ours(response):
            name = "_or_".join(sorted(response["content"][MEDIA_TYPE]["examples"]))
            shared[name] = response
            responses[status] = {"$ref": f"#/components/responses/{name}"}


def _document_tenants(operation: dict[str, Any]) -> None:
    """Say that a portal token opens it, and what else may then be answered."""
    operation["security"].append({"portal_token": []})
    responses = operation["responses"]
    for status, response in refused_with(TokenExpired, ReadOnlyToken).items():
        responses[str(status)] = _merged(response, responses.get(str(status)))


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
