from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kanca.storage.ports import Database
from tests.workers.site import Site


@pytest.fixture
async def site(database: Database, database_url: str) -> AsyncIterator[Site]:
    """An empty database with the endpoint 100; workers that the test starts are stopped in the end."""
    site = Site(database_url, database, database.waker())
    await site.add_endpoint()
    yield site
    await site.stop(hurried=True)
    await site.waker.close()
