from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from kanca import errors
from kanca.api.problems import install_problem_handlers
from kanca.errors import KancaError
from tests.api.conformity import check_problem


def _all(of: type[KancaError] = KancaError) -> Iterator[type[KancaError]]:
    yield of
    for derived in of.__subclasses__():
        yield from _all(derived)


PUBLIC = [error for error in _all() if error.__module__ == errors.__name__]


def client_of(app: FastAPI) -> httpx.AsyncClient:
    install_problem_handlers(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://kanca.test")


@pytest.mark.parametrize("error", PUBLIC, ids=lambda error: error.__name__)
async def test_every_error_is_a_problem_with_its_own_code(error: type[KancaError]) -> None:
    app = FastAPI()

    @app.get("/")
    async def fail() -> None:
        raise error("It went wrong.", fact=["a", 1])

    async with client_of(app) as client:
        answer = await client.get("/")

    body = check_problem(answer)
    assert (answer.status_code, body["code"], body["title"]) == (error.status, error.code, error.title)
    assert (body["detail"], body["fact"]) == ("It went wrong.", ["a", 1])


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for error in PUBLIC]
    assert sorted(codes) == sorted(set(codes))


async def test_an_unknown_error_says_nothing_but_where_the_log_has_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = FastAPI()

    @app.get("/")
    async def fail() -> None:
        raise RuntimeError("the password is hunter2")

    async with client_of(app) as client:
        answer = await client.get("/")

    body = check_problem(answer)
    assert (answer.status_code, body["code"]) == (500, "internal_error")
    assert "hunter2" not in answer.text
    assert body["reference"] in capsys.readouterr().out


async def test_what_the_framework_refuses_is_a_problem_too() -> None:
    app = FastAPI()

    @app.get("/")
    async def root(number: int) -> int:
        return number

    async with client_of(app) as client:
        answers = [await client.get("/nowhere"), await client.put("/"), await client.get("/?number=secret")]

    assert [check_problem(answer)["code"] for answer in answers] == [
        "not_found",
        "method_not_allowed",
        "invalid_request",
    ]
    assert answers[1].headers["allow"] == "GET"
    assert "secret" not in answers[2].text


async def test_an_address_names_all_methods_that_it_takes(client: httpx.AsyncClient) -> None:
    allowed = {
        "/api/workflows": "GET, POST",
        "/api/workflows/test-123": "DELETE, GET, PUT",
        "/admin/dlq/retry": "POST",
    }
    for path, methods in allowed.items():
        answer = await client.patch(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)
