"""What every route does with a body, whatever it is about."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from kanca.api.problems import install_problem_handlers
from kanca.api.routing import MAX_BODY_BYTES, MAX_NESTING, resource
from tests.api.conformity import check_problem


class Given(BaseModel):
    value: object


@pytest.fixture
def app() -> FastAPI:
    router = resource("Test")

    @router.post("/echo")
    async def echo(given: Given) -> object:
        return given.value

    app = FastAPI()
    app.include_router(router)
    install_problem_handlers(app)
    return app


async def post(
    app: FastAPI, body: bytes | AsyncIterator[bytes], content_type: str = "application/json"
) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kanca.test") as client:
        return await client.post("/echo", content=body, headers={"content-type": content_type})


def nested(levels: int) -> bytes:
    """An object whose value is so deep that the document has ``levels`` levels in all."""
    return b'{"value":' + b"[" * (levels - 1) + b"0" + b"]" * (levels - 1) + b"}"


async def test_json_is_read(app: FastAPI) -> None:
    answer = await post(app, '{"value": ["ü", 12345678901234567890123]}'.encode())

    assert answer.json() == ["ü", 12345678901234567890123]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "Field required"),
        (b"{", "Expecting"),
        (b"\xff", "not UTF-8"),
        (b'{"value": "\\ud800"}', "lone surrogate"),
        (b'{"value": NaN}', "NaN"),
        (b'{"value": 1e999}', "out of range"),
        (b'{"value": ' + b"1" * 5000 + b"}", None),
        (nested(MAX_NESTING + 1), "nested"),
        (b"[" * 100_000, "nested"),
        (b"null", "valid"),
    ],
    ids=lambda value: repr(value)[:24],
)
async def test_what_is_no_such_json_is_refused(app: FastAPI, body: bytes, why: str | None) -> None:
    answer = await post(app, body)

    if why is None:
        assert answer.status_code < 500
    else:
        assert answer.status_code == 422
        assert why in check_problem(answer)["detail"]


async def test_nesting_is_taken_up_to_the_limit(app: FastAPI) -> None:
    assert (await post(app, nested(MAX_NESTING))).status_code == 200


async def test_a_body_that_does_not_say_it_is_json_is_refused(app: FastAPI) -> None:
    # A page in somebody's browser can send such a request without asking anybody.
    assert (await post(app, b'{"value": 1}', "text/plain")).status_code == 422


async def test_a_body_is_taken_up_to_the_limit_counted_as_it_comes(app: FastAPI) -> None:
    async def chunks(size: int) -> AsyncIterator[bytes]:
        yield b'{"value":"'
        for _ in range(size // 1024):
            yield b"x" * 1024
        yield b'"}'

    assert (await post(app, chunks(MAX_BODY_BYTES - 2048))).status_code == 200
    for body in (chunks(MAX_BODY_BYTES), b" " * (MAX_BODY_BYTES + 1)):
        answer = await post(app, body)
        assert answer.status_code == 413
        assert check_problem(answer)["code"] == "payload_too_large"
