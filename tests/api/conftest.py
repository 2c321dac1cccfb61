"""The management API over a real database, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from kanca.api.app import create_api
from kanca.api.request_lines import RequestLines
from kanca.api.services import Services
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.workflows.nodes import built_in_registry
from tests.api.conformity import check
from tests.api.living import START, WAIT, Living
from tests.workers.site import Site


class Clock:
    """The time that the API is given."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        self.now += timedelta(**amount)


class Wakes:
    """Counts how often workers are told that there is work."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def secret_box() -> SecretBox:
    return SecretBox(["a key for tests"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wakes() -> Wakes:
    return Wakes()


async def no_pause(_seconds: float) -> None:
    """Wait for nobody: there is no worker, unless a test starts one."""
    await asyncio.sleep(0)


@pytest.fixture
def services(database: Database, secret_box: SecretBox, clock: Clock, wakes: Wakes) -> Services:
    """What the API is given; ``app_with`` makes an app that is given something else."""
    return Services(
        database=database,
        secret_box=secret_box,
        nodes=built_in_registry(),
        now=clock,
        wake=wakes,
        public_url="https://hooks.example.com",
        pause=no_pause,
    )


def speaking_to(app: FastAPI | RequestLines) -> httpx.AsyncClient:
    """A client of the app that checks the form of every answer. Errors that the app does not answer come through."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://kanca.test",
        event_hooks={"response": [check]},
    )


@pytest.fixture
async def client(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    async with speaking_to(create_api(services)) as client:
        yield client


@pytest.fixture
async def living(database: Database, database_url: str, services: Services) -> AsyncIterator[Living]:
    """The API and a worker that the test starts, on one database."""
    site = Site(database_url, database, database.waker())
    for number in (START, WAIT):
        await site.add_endpoint(number)
    app = create_api(
        replace(services, wake=site.waker.wake, now=lambda: datetime.now(UTC), pause=asyncio.sleep)
    )
    async with speaking_to(app) as client:
        yield Living(site, client)
    await site.stop(hurried=True)
    await site.waker.close()
