"""The management API over a real database, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.workflows.nodes import built_in_registry


@pytest.fixture
def secret_box() -> SecretBox:
    return SecretBox(["a key for tests"])


@pytest.fixture
def services(database: Database, secret_box: SecretBox) -> Services:
    """What the API is given; a test that needs something else replaces it in ``app.state``."""
    return Services(
        database=database,
        secret_box=secret_box,
        nodes=built_in_registry(),
        public_url="https://hooks.example.com",
    )


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_api(services)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks to the app. Errors that the app does not answer itself come through to the test."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://kanca.test") as client:
        yield client
