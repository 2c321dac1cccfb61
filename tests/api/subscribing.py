"""Subscriptions over the API, and a receiver that they are sent to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
from aiohttp import web

from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.egress import EgressClient, EgressGuard
from kanca.outbound.sending import Nothing, Sender
from tests.api.conftest import speaking_to
from tests.egress.receiver import Answer, Receiver, receiving

SUBSCRIPTIONS = "/webhooks/subscriptions"
URL = "https://partner.example/hooks"


async def create(client: httpx.AsyncClient, **values: Any) -> dict[str, Any]:
    """A new subscription, as it is answered."""
    answer = await client.post(SUBSCRIPTIONS, json={"url": URL, "events": ["order.*"]} | values)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def change(client: httpx.AsyncClient, subscription_id: str, **values: Any) -> dict[str, Any]:
    """The subscription after a change."""
    answer = await client.put(f"{SUBSCRIPTIONS}/{subscription_id}", json=values)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


class NoCredentials:
    """Nothing proves anything but the signature."""

    async def of(self, name: str | None) -> Nothing:
        assert name is None
        return Nothing()

    def forget(self, name: str, refused: Nothing) -> None:
        """Nothing was kept."""


@dataclass
class Sending:
    """A client of an API that can send, and a receiver on this machine that it may reach."""

    client: httpx.AsyncClient
    receiver: Receiver
    answers: list[Answer] = field(default_factory=list)
    """What the receiver answers next; 200 without a body when there is none."""

    @property
    def url(self) -> str:
        return self.receiver.url("/hooks")


@asynccontextmanager
async def sending(services: Services) -> AsyncIterator[Sending]:
    """An API that sends over real HTTP."""
    answers: list[Answer] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await answers.pop(0)(request) if answers else web.Response()

    guard = EgressGuard(["127.0.0.1"])
    async with receiving(answer) as receiver, EgressClient(guard) as http:
        sender = Sender(http, NoCredentials(), services.now, timeout=timedelta(seconds=10))
        app = create_api(replace(services, guard=guard, send=sender.attempt))
        async with speaking_to(app) as client:
            yield Sending(client, receiver, answers)
