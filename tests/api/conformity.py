"""What every answer of the API must be: its route's model, or a problem."""

from __future__ import annotations

import json
from typing import Any

import httpx
from fastapi.routing import APIRoute
from pydantic import BaseModel

from kanca.api.app import ROUTERS
from kanca.api.problems import MEDIA_TYPE

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


async def check(answer: httpx.Response) -> None:
    """Fail unless the answer is of its route's model, with all members and no others, or else a problem."""
    await answer.aread()
    if answer.status_code < 400:
        _check_model(answer)
    elif not answer.request.url.path.startswith("/health"):
        check_problem(answer)


def check_problem(answer: httpx.Response) -> dict[str, Any]:
    """Fail unless the answer is a problem body for its status; gives the body."""
    body: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert list(body)[:5] == ["type", "title", "status", "detail", "code"]
    assert body["status"] == answer.status_code
    assert body["type"] == f"urn:kanca:problem:{body['code']}"
    assert all(isinstance(body[key], str) and body[key] for key in ("type", "title", "detail", "code"))
    return body


def _check_model(answer: httpx.Response) -> None:
    model = _model_of(answer.request)
    if model is not None:
        document = json.loads(answer.content)
        read = model.model_validate(document)
        assert read.model_dump().keys() == document.keys()


def _model_of(request: httpx.Request) -> type[BaseModel] | None:
    for route in ROUTES:
        if request.method in (route.methods or ()) and route.path_regex.fullmatch(request.url.path):
            return route.response_model  # type: ignore[no-any-return]  # every route's model is a BaseModel or None
    return None
