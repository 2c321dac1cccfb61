"""One trace from the sender through handler, workflow and delivery, by the real path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from aiohttp import web
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr

from kanca import Event, Kanca
from kanca.domain.ids import EVENT, read_id
from kanca.domain.trace import read_trace
from kanca.settings import Settings
from kanca.telemetry import tracing
from kanca.telemetry.otel import OtelTracer
from tests.egress.receiver import Receiver, receiving

KEY = "a management key of some length"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SENDER = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "shop=1"}
LIMIT_S = 60
CALLED = {"/handler", "/node", "/paid"}


class Place:
    """Kanca with a handler that calls a server and publishes, a workflow that calls it, and a subscription there."""

    def __init__(self, hooks: Kanca, client: httpx.AsyncClient, endpoint: Mapping[str, Any]) -> None:
        self.hooks = hooks
        self.client = client
        self._endpoint = endpoint
        self.called: dict[str, Mapping[str, str]] = {}
        self._calls: asyncio.Queue[str] = asyncio.Queue()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Note who calls."""
        self.called[request.path] = request.headers
        self._calls.put_nowait(request.path)
        return web.Response()

    async def until_called(self, *paths: str) -> None:
        """Wait until these were called."""
        async with asyncio.timeout(LIMIT_S):
            while not self.called.keys() >= set(paths):
                await self._calls.get()

    async def receive(self, headers: Mapping[str, str]) -> str:
        """Send a webhook and wait until all was called; gives the id of its event."""
        answer = await self.client.post(
            self._endpoint["path"],
            json={"event_type": "order.created", "data": {"id": 1}, "correlation_id": "c-1"},
            headers={"Authorization": f"Bearer {self._endpoint['secret_token']}", **headers},
        )
        assert answer.status_code == 200, answer.text
        await self.until_called(*CALLED)
        return str(answer.json()["event_id"])


def hooks_of(url: str, receiver: Receiver) -> Kanca:
    """An app whose handler calls the receiver, and publishes."""
    settings = Settings(
        database_url=url,
        secret_key=SecretStr("a secret key of some length"),
        admin_key=SecretStr(KEY),
        egress_allow=("127.0.0.1",),
        worker_poll_seconds=0.2,
    )
    hooks = Kanca(settings)

    @hooks.on("order.created")
    async def order_created(event: Event[Any]) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            await http.post(receiver.url("/handler"), headers=dict(event.trace_headers))
        await hooks.publish("order.paid", {"id": 1})

    return hooks


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Place]:
    """A running Kanca."""
    made: list[Place] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        return await made[0].answer(request)

    async with receiving(answer) as receiver:
        hooks = hooks_of(database_url, receiver)
        async with hooks.running(), speaking_to(hooks) as client:
            await client.post("/api/workflows", json=workflow_calling(receiver.url("/node")))
            await client.post("/api/workflows/ask/publish")
            subscription = {"url": receiver.url("/paid"), "events": ["order.paid"]}
            subscribed = await client.post("/webhooks/subscriptions", json=subscription)
            assert subscribed.is_success, subscribed.text
            created = await client.post(
                "/api/webhooks/endpoints", json={"workflow_id": "ask", "node_id": "start"}
            )
            assert created.is_success, created.text
            made.append(
                Place(
                    hooks, client, created.json() | {"path": f"/api/webhooks/{created.json()['webhook_id']}"}
                )
            )
            yield made[0]


@asynccontextmanager
async def speaking_to(hooks: Kanca) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(hooks.asgi),
        base_url="http://testserver",
        headers={"Authorization": f"Bearer {KEY}"},
    ) as client:
        yield client


def workflow_calling(url: str) -> dict[str, Any]:
    nodes = [
        {"id": "start", "type": "WebhookTrigger"},
        {"id": "call", "type": "HttpRequest", "config": {"url": url, "method": "POST"}},
    ]
    return {"id": "ask", "name": "Ask", "nodes": nodes, "edges": [{"from": "start", "to": "call"}]}


async def test_without_a_tracer_all_that_an_event_causes_is_in_its_sender_s_trace(place: Place) -> None:
    await place.receive(SENDER)

    found = {path: read_trace(headers["traceparent"]) for path, headers in place.called.items()}

    assert {trace.trace_id for trace in found.values() if trace} == {TRACE}
    spans = {trace.span_id for trace in found.values() if trace}
    assert len(spans) == len(CALLED)
    assert SPAN not in spans
    assert {headers["tracestate"] for headers in place.called.values()} == {"shop=1"}
    assert place.called["/paid"]["x-correlation-id"] == "c-1"


async def test_an_event_that_comes_without_a_trace_has_one_that_is_its_id(place: Place) -> None:
    event_id = await place.receive({"traceparent": "nonsense"})

    identifier = read_id(EVENT, event_id)
    found = [read_trace(headers["traceparent"]) for headers in place.called.values()]

    assert identifier is not None
    assert {trace.trace_id for trace in found if trace} == {identifier.hex}


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """OpenTelemetry's SDK, recording in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(OtelTracer(provider))
    yield exporter
    tracing.close()


async def spans_of(exporter: InMemorySpanExporter, *beginnings: str) -> list[ReadableSpan]:
    """The spans whose names begin so, in this order, once all of them have ended."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            ended = exporter.get_finished_spans()
            found = [[span for span in ended if span.name.startswith(each)] for each in beginnings]
            if all(found):
                return [spans[0] for spans in found]
            await asyncio.sleep(0)


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


async def test_each_part_of_the_way_is_a_span_of_the_sender_s_trace(
    exporter: InMemorySpanExporter, place: Place
) -> None:
    await place.receive(SENDER)
    ours = await spans_of(
        exporter, "receive", "dispatch", "handler:", "workflow:ask", "node:call", "deliver:"
    )
    received, dispatch, handler, run, node, delivery = ours

    def parent(span: ReadableSpan) -> int | None:
        return span.parent.span_id if span.parent else None

    assert {span.context.trace_id for span in ours if span.context} == {int(TRACE, 16)}
    assert parent(received) == int(SPAN, 16)
    assert parent(dispatch) == id_of(received)
    assert parent(run) == id_of(received)
    assert parent(node) == id_of(run)
    assert parent(handler) == id_of(received)
    assert parent(delivery) == id_of(handler)
    assert place.called["/handler"]["traceparent"] == f"00-{TRACE}-{id_of(handler):016x}-01"
    assert place.called["/node"]["traceparent"] == f"00-{TRACE}-{id_of(node):016x}-01"
    assert place.called["/paid"]["traceparent"] == f"00-{TRACE}-{id_of(delivery):016x}-01"
    assert received.attributes is not None
    assert received.attributes["http.response.status_code"] == 200


async def test_what_is_done_for_many_at_once_is_linked_with_each_and_in_the_trace_of_none(
    exporter: InMemorySpanExporter, place: Place
) -> None:
    await place.receive(SENDER)
    received, claim = await spans_of(exporter, "receive", "claim")
    commits = [span for span in exporter.get_finished_spans() if span.name == "commit"]

    linked = {link.context.span_id for commit in commits for link in commit.links}

    assert id_of(received) in linked
    assert all(commit.parent is None for commit in commits)
    assert claim.parent is None


async def test_a_trace_that_the_publisher_is_in_goes_on_with_what_it_publishes(place: Place) -> None:
    with TracerProvider().get_tracer("shop").start_as_current_span("checkout") as span:
        await place.hooks.publish("order.paid", {"id": 2})

    await place.until_called("/paid")
    found = read_trace(place.called["/paid"]["traceparent"])
    assert found is not None
    assert int(found.trace_id, 16) == span.get_span_context().trace_id


async def test_what_is_published_over_http_is_in_the_trace_of_the_request(place: Place) -> None:
    answer = await place.client.post(
        "/events/trigger", json={"event_type": "order.paid", "payload": {"id": 3}}, headers=SENDER
    )
    assert answer.status_code == 202

    await place.until_called("/paid")
    found = read_trace(place.called["/paid"]["traceparent"])
    assert found is not None
    assert found.trace_id == TRACE
