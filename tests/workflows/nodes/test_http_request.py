from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from kanca.domain.ids import CALL, derived_id, show_id
from kanca.domain.task import Completion, Dead, Done, Retry
from kanca.egress import EgressClient, EgressGuard
from kanca.errors import InvalidWorkflow
from kanca.workflows.nodes import built_in_registry
from kanca.workflows.responses import MAX_RETRY_AFTER
from kanca.workflows.values import read_json
from tests.workflows.memory import Store, World
from tests.workflows.nodes.receiving import Receiver, asking, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with EgressClient(EgressGuard(["127.0.0.1"])) as http:
        yield World(built_in_registry(), http)


async def ask(world: World, **config: Any) -> tuple[Store, Completion]:
    """One claim of a run with that request in it."""
    event = world.event(b'{"total":150,"customer":{"name":"Ay\xc5\x9fe & co","id":7}}')
    store = world.dispatched(event)
    completion = await world.go_on(store, world.version(asking(**config)), event)
    return store, completion


async def test_the_request_is_made_of_literals_and_expressions(world: World, receiver: Receiver) -> None:
    store, completion = await ask(
        world,
        method="POST",
        url=f"='{receiver.url}/customers/' + string(event.data.customer.id)",
        query={"name": "=event.data.customer.name", "page": "1"},
        headers={"X-Total": "=event.data.total", "X-Literal": "==not an expression"},
        json={"lines": [{"total": "=event.data.total", "note": "plain"}]},
    )
    assert isinstance(completion.disposition, Done)
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/customers/7")
    assert dict(request.query) == {"name": "Ayşe & co", "page": "1"}
    assert request.headers["X-Total"] == "150"
    assert request.headers["X-Literal"] == "=not an expression"
    assert request.headers["Content-Type"] == "application/json"
    assert read_json(receiver.bodies[0]) == {"lines": [{"total": 150, "note": "plain"}]}
    assert store.run is not None
    call_id = show_id(CALL, derived_id(store.run.id, "ask", "0"))
    assert request.headers["Idempotency-Key"] == call_id


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        ({"text": '{"id":5}', "content_type": "application/json"}, {"json": {"id": 5}}),
        ({"text": '{"id":5}', "content_type": "application/problem+json"}, {"json": {"id": 5}}),
        ({"text": "{", "content_type": "application/json"}, {"body": "{"}),
        ({"text": "çay", "charset": "iso-8859-9"}, {"body": "çay"}),
        (
            {"text": "host-name", "charset": "punycode"},
            {"body_base64": base64.b64encode(b"host-name-").decode()},
        ),
        ({"body": b"\xff\x00"}, {"body_base64": base64.b64encode(b"\xff\x00").decode()}),
        ({"status": 204}, {"body": ""}),
    ],
)
async def test_the_response_is_the_output(
    world: World, receiver: Receiver, answer: dict[str, Any], content: dict[str, Any]
) -> None:
    receiver.answers = [answer]
    store, _ = await ask(world, url=receiver.url)
    output = read_json(store.step("ask").output or b"")
    headers = output.pop("headers")
    assert headers["server"].startswith("Python")
    assert output == {"status": answer.get("status", 200)} | content


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
async def test_some_statuses_are_tried_again_with_the_same_key(
    world: World, receiver: Receiver, status: int
) -> None:
    receiver.answers = [{"status": status, "text": "busy"}]
    event = world.event()
    store = world.dispatched(event)
    version = world.version(asking(url=receiver.url, method="POST", body="x"))
    first = await world.go_on(store, version, event)
    assert isinstance(first.disposition, Retry)
    assert store.attempts[0].code == "http_status"
    assert read_json(store.attempts[0].error)["message"] == f"the server answered {status}: busy"
    await world.finish(store, version, event)
    assert receiver.bodies == [b"x", b"x"]
    assert len({request.headers["Idempotency-Key"] for request in receiver.requests}) == 1


@pytest.mark.parametrize("status", [301, 400, 404, 410, 422])
async def test_other_statuses_fail_the_node_at_once(world: World, receiver: Receiver, status: int) -> None:
    receiver.answers = [{"status": status, "headers": {"Location": f"{receiver.url}/elsewhere"}}]
    store, completion = await ask(world, url=receiver.url)
    assert isinstance(completion.disposition, Dead)
    assert store.dead_letters[0].code == "http_status"
    assert len(receiver.requests) == 1


async def test_expected_statuses_are_a_success(world: World, receiver: Receiver) -> None:
    receiver.answers = [{"status": 404}]
    store, completion = await ask(world, url=receiver.url, expected_status=[200, 404])
    assert isinstance(completion.disposition, Done)
    assert read_json(store.step("ask").output or b"")["status"] == 404


@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ({"Retry-After": "120"}, timedelta(seconds=120)),
        ({"Retry-After": "999999"}, MAX_RETRY_AFTER),
        (
            {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Fri, 31 Dec 1999 23:59:00 GMT"},
            timedelta(seconds=59),
        ),
        ({"Retry-After": "soon"}, timedelta(seconds=1)),
    ],
)
async def test_a_server_may_say_when_to_come_back(
    world: World, receiver: Receiver, headers: dict[str, str], delay: timedelta
) -> None:
    receiver.answers = [{"status": 503, "headers": headers}]
    _, completion = await ask(world, url=receiver.url)
    assert isinstance(completion.disposition, Retry)
    assert abs(completion.disposition.delay - delay) < timedelta(milliseconds=100)


async def test_a_private_address_is_refused_for_good(receiver: Receiver) -> None:
    async with EgressClient(EgressGuard()) as http:
        store, completion = await ask(World(built_in_registry(), http), url=receiver.url)
    assert isinstance(completion.disposition, Dead)
    assert store.dead_letters[0].code == "egress_refused"
    assert receiver.requests == []


async def test_a_server_that_is_not_there_is_tried_again(world: World) -> None:
    store, completion = await ask(world, url="http://127.0.0.1:1")
    assert isinstance(completion.disposition, Retry)
    assert store.attempts[0].code == "egress_failed"


async def test_a_server_that_takes_too_long_is_tried_again(world: World, receiver: Receiver) -> None:
    receiver.delay.clear()
    store, completion = await ask(world, url=receiver.url, timeout=0.2)
    assert isinstance(completion.disposition, Retry)
    assert store.attempts[0].code == "egress_timeout"


async def test_a_response_that_is_too_large_fails_the_node(world: World, receiver: Receiver) -> None:
    receiver.answers = [{"body": b"x" * 2000}]
    store, completion = await ask(world, url=receiver.url, max_response_size=1)
    assert isinstance(completion.disposition, Dead)
    assert store.dead_letters[0].code == "response_too_large"


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"url": "='http://' + event.data.customer"}, "expression_failed"),
        ({"url": "=event.data.customer"}, "expression_failed"),
        ({"headers": {"X-A": "='a\\r\\nX-B: b'"}}, "egress_refused"),
        ({"headers": {"Host": "example.com"}}, "egress_refused"),
        ({"url": "='file:///etc/passwd'"}, "egress_refused"),
    ],
)
async def test_a_request_that_cannot_be_made_fails_the_node(
    world: World, receiver: Receiver, config: dict[str, Any], code: str
) -> None:
    store, completion = await ask(world, **({"url": receiver.url} | config))
    assert isinstance(completion.disposition, Dead)
    assert store.dead_letters[0].code == code
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "url: Field required"),
        ({"url": "ftp://example.com"}, "url: a URL starts with"),
        ({"url": "https://x.example", "json": {}, "body": ""}, "either json or body"),
        ({"url": "https://x.example", "json": {"a": ["= 1 +"]}}, "json: in a.0: line 1"),
        ({"url": "https://x.example", "method": "BREW"}, "method: "),
        ({"url": "https://x.example", "expected_status": [99]}, "expected_status.0: "),
        ({"url": "https://x.example", "json_body": {}}, "json_body: there is no such key"),
        ({"url": "https://x.example", "output": {"a": "=respons.json"}}, "unknown name 'respons'"),
        ({"url": "=response.json.url"}, "unknown name 'response'"),
        ({"url": "https://x.example", "credential": "=event.data.name"}, "credential: "),
        ({"url": "=event.data.url", "credential": "shop"}, "a host that is written out"),
        ({"url": "='https://x.example' + event.data.path", "credential": "shop"}, "a host that is written"),
        ({"url": "='https://' + event.data.host + '/'", "credential": "shop"}, "a host that is written out"),
    ],
)
def test_a_request_that_cannot_be_is_refused_when_saved(config: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidWorkflow) as refused:
        World(built_in_registry()).version(asking(**config))
    (problem,) = refused.value.facts["problems"]
    assert problem["node"] == "ask"
    assert words in problem["message"]


async def test_the_output_is_made_of_the_response(world: World, receiver: Receiver) -> None:
    receiver.answers = [
        {"text": '{"order":{"id":5}}', "content_type": "application/json", "headers": {"X-Left": "3"}}
    ]
    output = {
        "id": "=response.json.order.id",
        "left": "=int(response.headers['x-left'])",
        "is_new": "=response.status == 201",
        "total": "=event.data.total",
        "kind": "order",
    }
    store, completion = await ask(world, url=receiver.url, output=output)
    assert isinstance(completion.disposition, Done)
    assert read_json(store.step("ask").output or b"") == {
        "id": 5,
        "left": 3,
        "is_new": False,
        "total": 150,
        "kind": "order",
    }


async def test_an_output_that_cannot_be_made_fails_the_node(world: World, receiver: Receiver) -> None:
    store, completion = await ask(world, url=receiver.url, output="=response.json.id")
    assert isinstance(completion.disposition, Dead)
    assert store.dead_letters[0].code == "expression_failed"
