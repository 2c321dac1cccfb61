from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web

from kanca.domain.credential import Credential, credential_not_found, read_credential, secrets_of
from kanca.egress import EgressClient, EgressGuard
from kanca.errors import DatabaseUnavailable
from kanca.workflows.calling import Failed, Succeeded, call
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.step import StepContext
from kanca.workflows.values import read_json
from tests.workflows.memory import NOW, World
from tests.workflows.nodes.receiving import Receiver, asking, receiving

TOKEN = "sk_live_0123456789"


class Safe:
    """The credentials that there are."""

    def __init__(self, *credentials: Credential) -> None:
        self.credentials = {credential.name: credential for credential in credentials}
        self.is_away = False

    async def get(self, name: str) -> Credential:
        if self.is_away:
            raise DatabaseUnavailable
        if name not in self.credentials:
            raise credential_not_found(name)
        return self.credentials[name]


def bearer(token: str = TOKEN) -> Credential:
    return read_credential("shop", "bearer", {"token": token})


async def prove(http: EgressClient, safe: Safe | None, **config: Any) -> Succeeded | Failed:
    """One attempt of that request, with these credentials at hand."""
    world = World(built_in_registry(), http)
    version = world.version(asking(**{"credential": "shop"} | config))
    step = StepContext(
        input=None,
        event={"data": {"path": "orders", "name": "Ada"}},
        run={"id": "run_1"},
        outputs={},
        node_id="ask",
        call_id="call_1",
        attempt_number=1,
        timeout=timedelta(seconds=10),
        now=NOW,
        new_id=world.ids.new,
        http=http,
        credentials=safe,
    )
    ended = await call(version.ready().nodes["ask"], step, world.threads)
    assert isinstance(ended, Succeeded | Failed)
    return ended


def output_of(ended: Succeeded | Failed) -> Any:
    assert isinstance(ended, Succeeded)
    return ended.output


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def http() -> AsyncIterator[EgressClient]:
    async with EgressClient(EgressGuard(["127.0.0.1"])) as http:
        yield http


async def repeat(request: web.Request) -> web.Response:
    """Everything that came, back in the headers and the body, in the form that the path says."""
    came = dict(request.headers) | {"url": str(request.url), "raw": request.raw_path} | dict(request.query)
    basic = request.headers.get("Authorization", "")
    if basic.startswith("Basic "):
        came["user"], _, came["password"] = base64.b64decode(basic[6:]).decode().partition(":")
    if came.get("Authorization") == "Bearer 1234567890":
        came["number"] = 1234567890  # type: ignore[assignment]  # a server may take it for one
    status, form = int(request.match_info["status"]), request.match_info["form"]
    headers = {
        f"X-Came-{n}": quote(value, safe=' "&/+=\\') for n, value in enumerate(map(str, came.values()))
    }
    if form == "json":
        return web.json_response(came, status=status, headers=headers)
    lines = "\n".join(f"{name}: {value}" for name, value in came.items())
    body = lines.encode() + (b"\xff" if form == "binary" else b"")
    return web.Response(body=body, status=status, headers=headers, content_type="text/plain")


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """The address of a server that repeats what it was asked: ``/{status}/{form}``."""
    app = web.Application()
    app.router.add_get("/{status}/{form}", repeat)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("credential", "headers", "query"),
    [
        (bearer(), {"Authorization": f"Bearer {TOKEN}"}, {}),
        (
            read_credential("shop", "basic", {"username": "Aladdin", "password": "open sesame"}),
            {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
            {},
        ),
        (read_credential("shop", "header", {"name": "X-Key", "value": TOKEN}), {"X-Key": TOKEN}, {}),
        (read_credential("shop", "query", {"name": "key", "value": "a&b=ü"}), {}, {"key": "a&b=ü"}),
    ],
)
async def test_a_credential_goes_with_the_request(
    http: EgressClient,
    receiver: Receiver,
    credential: Credential,
    headers: dict[str, str],
    query: dict[str, str],
) -> None:
    await prove(http, Safe(credential), url=f"{receiver.url}/x?page=1", query={"n": "2"})
    (request,) = receiver.requests
    assert headers.items() <= dict(request.headers).items()
    assert dict(request.query) == {"page": "1", "n": "2"} | query


async def test_what_a_credential_adds_takes_the_place_of_what_the_node_says(
    http: EgressClient, receiver: Receiver
) -> None:
    key = read_credential("shop", "query", {"name": "key", "value": TOKEN})
    await prove(http, Safe(bearer()), url=receiver.url, headers={"authorization": "Basic Og=="})
    await prove(http, Safe(key), url=receiver.url, query={"key": "mine"})
    assert receiver.requests[0].headers.getall("Authorization") == [f"Bearer {TOKEN}"]
    assert receiver.requests[1].query.getall("key") == [TOKEN]


async def test_the_path_may_be_made_where_the_host_is_written_out(
    http: EgressClient, receiver: Receiver
) -> None:
    await prove(http, Safe(bearer()), url=f"='{receiver.url}/' + event.data.path")
    (request,) = receiver.requests
    assert (request.path, request.headers["Authorization"]) == ("/orders", f"Bearer {TOKEN}")


@pytest.mark.parametrize(("safe", "is_away"), [(Safe(), False), (None, False), (Safe(bearer()), True)])
async def test_without_the_credential_nothing_is_sent(
    http: EgressClient, receiver: Receiver, safe: Safe | None, is_away: bool
) -> None:
    if safe is not None:
        safe.is_away = is_away
    ended = await prove(http, safe, url=receiver.url)
    assert isinstance(ended, Failed)
    assert ended.code == ("database_unavailable" if is_away else "credential_not_found")
    assert not ended.is_final
    assert receiver.requests == []


@pytest.mark.parametrize(
    "credential",
    [
        bearer(),
        bearer('a"b/c\\d+e&f'),
        bearer("1234567890"),
        read_credential("shop", "basic", {"username": "Aladdin", "password": "open sesame"}),
        read_credential("shop", "basic", {"username": TOKEN, "password": ""}),
        read_credential("shop", "header", {"name": "X-Key", "value": f"Token {TOKEN}"}),
        read_credential("shop", "query", {"name": "key", "value": "a&b c/ü=12"}),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("form", ["json", "text", "binary"])
async def test_a_server_that_repeats_what_it_was_asked_gives_no_secret_away(
    http: EgressClient, echo: str, credential: Credential, status: int, form: str
) -> None:
    ended = await prove(http, Safe(credential), url=f"{echo}/{status}/{form}")
    shown = ended.stored if isinstance(ended, Succeeded) else ended.cause
    told = read_json(shown or b"")
    found = json.dumps(told, ensure_ascii=False)
    if status == 200 and form == "binary":
        found += base64.b64decode(told["body_base64"]).decode("latin-1")
    assert "***" in found
    for secret in secrets_of(credential):
        for spelling in (
            secret,
            json.dumps(secret)[1:-1],
            quote(secret),
            quote(secret, safe=""),
            quote_plus(secret),
        ):
            assert spelling not in found


async def test_what_is_cut_off_is_masked_before(http: EgressClient, receiver: Receiver) -> None:
    receiver.answers = [{"status": 400, "text": "x" * 290 + TOKEN}]
    ended = await prove(http, Safe(bearer()), url=receiver.url)
    assert isinstance(ended, Failed)
    assert read_json(ended.cause)["message"].endswith("xx***")


async def test_a_redirect_takes_the_credential_nowhere(http: EgressClient, receiver: Receiver) -> None:
    receiver.answers = [{"status": 302, "headers": {"Location": f"{receiver.url}/other?token={TOKEN}"}}]
    ended = await prove(http, Safe(bearer()), url=receiver.url, expected_status=[302])
    assert len(receiver.requests) == 1
    assert output_of(ended)["headers"]["location"] == f"{receiver.url}/other?token=***"


async def test_the_output_is_made_of_what_is_masked(http: EgressClient, echo: str) -> None:
    ended = await prove(
        http, Safe(bearer()), url=f"{echo}/200/json", output="=response.json['Authorization']"
    )
    assert output_of(ended) == "Bearer ***"


async def test_a_credential_that_became_one_that_nodes_cannot_send_goes_nowhere(
    http: EgressClient, receiver: Receiver
) -> None:
    values = {"token_url": receiver.url, "client_id": "kanca", "client_secret": TOKEN}
    ended = await prove(http, Safe(read_credential("shop", "oauth2", values)), url=receiver.url)
    assert isinstance(ended, Failed)
    assert (ended.code, ended.is_final) == ("unusable_credential", True)
    assert b"credential 'shop' is of the kind oauth2, which nodes cannot send" in ended.cause
    assert not receiver.requests
