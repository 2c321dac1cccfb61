"""The one place that turns errors into ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import compile_path

from kanca.api.refusals import note_refusal
from kanca.errors import (
    BadRequest,
    Forbidden,
    InvalidRequest,
    KancaError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
)

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

_REFUSED_BY_THE_FRAMEWORK = {404: NotFound, 405: MethodNotAllowed, 413: PayloadTooLarge}


def problem(status: int, code: str, title: str, detail: str, **facts: Any) -> dict[str, Any]:
    """A problem body. ``facts`` are further members."""
    return {
        "type": f"urn:kanca:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        **facts,
    }


def problem_of(error: KancaError) -> dict[str, Any]:
    """The problem body of an error of ours."""
    return problem(error.status, error.code, error.title, error.detail, **jsonable_encoder(error.facts))


def problem_response(error: KancaError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The response for an error of ours."""
    return JSONResponse(problem_of(error), error.status, dict(headers or {}), MEDIA_TYPE)


async def _on_kanca_error(request: Request, error: KancaError) -> JSONResponse:
    if isinstance(error, Forbidden):
        note_refusal(request.scope, error)
    seconds = error.retry_after_s
    return problem_response(error, None if seconds is None else {"Retry-After": str(seconds)})


async def _on_validation_error(_request: Request, error: RequestValidationError) -> JSONResponse:
    # "input" is left out: it may be a secret, and it may be something JSON cannot say.
    problems = [
        {"location": [str(part) for part in found["loc"]], "message": _message(found), "kind": found["type"]}
        for found in error.errors()
    ]
    detail = "; ".join(f"{'.'.join(found['location'])}: {found['message']}" for found in problems)
    return problem_response(InvalidRequest(detail, errors=problems))


def _message(found: Mapping[str, Any]) -> str:
    return str(found["ctx"]["error"] if found["type"] == "json_invalid" else found["msg"])


async def _on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    # The framework's own sentences change with its versions.
    kind = _REFUSED_BY_THE_FRAMEWORK.get(error.status_code, BadRequest)
    headers = dict(error.headers or {})
    if kind is MethodNotAllowed:
        headers["Allow"] = _allowed(request) or headers["Allow"]
    return problem_response(kind(), headers)


def _allowed(request: Request) -> str:
    """The methods of the address: the framework names those of the first route only, and each is a route."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    paths = request.app.openapi()["paths"]
    fitting = [template for template in paths if compile_path(template)[0].match(path)]
    if not fitting:
        return ""
    return ", ".join(sorted(map(str.upper, paths[min(fitting, key=lambda template: template.count("{"))])))


async def _on_unknown_error(request: Request, error: Exception) -> JSONResponse:
    reference = uuid.uuid4().hex
    log.error(
        "internal_error", reference=reference, method=request.method, path=request.url.path, exc_info=error
    )
    detail = f"Something went wrong inside Kanca. The log has it under {reference}."
    return JSONResponse(
        problem(500, "internal_error", "Internal error", detail, reference=reference),
        500,
        media_type=MEDIA_TYPE,
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error response of ``app`` a problem body."""
    app.exception_handler(KancaError)(_on_kanca_error)
    app.exception_handler(RequestValidationError)(_on_validation_error)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(Exception)(_on_unknown_error)
