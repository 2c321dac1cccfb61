"""How a gateway leaves, request by request."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from kanca.app.gateway import Root
from kanca.app.leaving import Leaving

LIMIT = timedelta(seconds=20)
INGEST = "/webhooks/receive"


class Held:
    """An app that answers when it may."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.came.set()
        await self.may_answer.wait()
        await PlainTextResponse("answered", headers={"Connection": "keep-alive"})(scope, receive, send)


def asking(held: Held, leaving: Leaving) -> httpx.AsyncClient:
    async def ingest(scope: Scope, receive: Receive, send: Send) -> None:
        await held(scope, receive, send)

    transport = httpx.ASGITransport(Root(ingest, held, leaving))
    return httpx.AsyncClient(transport=transport, base_url="http://kanca")


async def test_who_came_in_time_is_waited_for_and_keeps_the_connection() -> None:
    held, leaving = Held(), Leaving()
    async with asking(held, leaving) as client:
        early = asyncio.create_task(client.post(INGEST))
        await held.came.wait()
        leaving.announced.set()
        assert not await leaving.wait_for_early(timedelta(0))
        held.may_answer.set()
        assert await leaving.wait_for_early(LIMIT)
        assert (await early).headers["Connection"] == "keep-alive"
        assert leaving.early == 0


async def test_who_comes_later_is_answered_and_told_to_close_the_connection() -> None:
    held, leaving = Held(), Leaving()
    leaving.announced.set()
    async with asking(held, leaving) as client:
        late = asyncio.create_task(client.get("/api/endpoints"))
        await held.came.wait()
        assert await leaving.wait_for_early(timedelta(0))
        assert not await leaving.wait_until_quiet(timedelta(0))
        held.may_answer.set()
        answer = await late
        assert (answer.status_code, answer.headers.get_list("Connection")) == (200, ["close"])
        assert await leaving.wait_until_quiet(LIMIT)


async def test_at_the_end_management_is_refused_and_probes_are_answered() -> None:
    held, leaving = Held(), Leaving()
    held.may_answer.set()
    leaving.announced.set()
    leaving.is_closed = True
    async with asking(held, leaving) as client:
        refused = await client.get("/api/endpoints")
        assert (refused.status_code, refused.json()["code"]) == (503, "shutting_down")
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.headers["Connection"] == "close"
        assert (await client.get("/health/live")).status_code == 200
        # Ingest says so itself, in its own words.
        assert (await client.post(INGEST)).text == "answered"
