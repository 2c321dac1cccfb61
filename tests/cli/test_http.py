from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from kanca.cli import http
from kanca.cli.http import Answer, call
from kanca.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    KancaError,
    NotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from tests.cli.conftest import ScriptedServer


@pytest.fixture
def silent_url() -> Iterator[str]:
    """Somebody who takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_request_arrives_as_it_was_made(server: ScriptedServer) -> None:
    server.will_answer((201, b"\xff\x00"))

    answer = call("POST", f"{server.url}/a%2Fb?c=d", {"X-Name": "value"}, b"\x00body")

    [received] = server.received
    assert (received.method, received.path, received.body) == ("POST", "/a%2Fb?c=d", b"\x00body")
    assert received.headers["X-Name"] == "value"
    assert answer == Answer(201, b"\xff\x00")


def test_a_proxy_of_the_environment_is_not_asked(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert call("GET", server.url, {}).is_success


def test_a_redirect_is_not_followed(server: ScriptedServer) -> None:
    server.will_answer((302, b""), (200, b"{}"))

    assert call("GET", server.url, {}).status == 302


def test_where_nobody_listens_the_error_says_how_to_start_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    with pytest.raises(Unavailable, match=f"no server at {url}.*kanca serve"):
        call("GET", url, {})


def test_a_silent_server_is_given_up(silent_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT_SECONDS", 0.05)

    with pytest.raises(Unavailable, match="did not answer within"):
        call("GET", silent_url, {})


def test_what_is_no_http_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak_otherwise() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 mail\r\n\r\n")

        thread = threading.Thread(target=speak_otherwise)
        thread.start()
        with pytest.raises(Unavailable, match="did not answer: BadStatusLine"):
            call("GET", f"http://127.0.0.1:{listener.getsockname()[1]}", {})
        thread.join()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://host",
        "http://",
        "http://host:many",
        "http://host:0",
        "http://[::1",
        "http://127.0.0.1:1/ü",
        "http://127.0.0.1:1/a b",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        call("GET", url, {})


def test_a_header_cannot_hide_another(server: ScriptedServer) -> None:
    with pytest.raises(InvalidInput, match="impossible characters"):
        call("GET", server.url, {"Authorization": "Bearer a\r\nHost: b"})
    assert server.received == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInput),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (413, InvalidInput),
        (422, InvalidInput),
        (429, TooManyRequests),
        (500, KancaError),
        (503, Unavailable),
    ],
)
def test_a_refusal_is_the_error_of_its_status_with_the_servers_words(
    status: int, kind: type[KancaError]
) -> None:
    problem = b'{"type": "t", "title": "T", "status": 0, "detail": "Why.", "code": "c", "errors": [1]}'

    error = Answer(status, problem).refusal()

    assert type(error) is kind
    assert error.detail == "Why."
    assert error.facts == {"code": "c", "errors": [1]}


@pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b"\xff", b"[" * 100_000])
def test_a_refusal_without_a_problem_body_says_its_status(body: bytes) -> None:
    error = Answer(502, body).refusal()

    assert isinstance(error, Unavailable)
    assert error.detail == "The server answered 502 Bad Gateway"


@pytest.mark.parametrize("body", [b"<html>", b"[" * 100_000])
def test_an_answer_that_is_no_json_is_an_error_of_ours(body: bytes) -> None:
    with pytest.raises(KancaError, match="no JSON"):
        Answer(200, body).data  # noqa: B018 - reading it is what fails
