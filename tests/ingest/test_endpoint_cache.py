"""Endpoints in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kanca.domain.endpoint import Endpoint, InvalidConfig
from kanca.errors import CommitTimeout, DatabaseUnavailable, InvalidSetting
from kanca.ingest.endpoint_cache import EndpointCache
from kanca.ingest.prepared import Prepared
from kanca.ingest.refusal import Refusal
from kanca.providers import Catalogue
from tests.ingest.site import BEARER, ENVELOPE, WEBHOOK_ID, MemoryStore, endpoint, site

LONG = timedelta(seconds=30)


def cache_of(store: MemoryStore, **limits: Any) -> EndpointCache:
    return EndpointCache(store, LONG, Catalogue(), **limits)


async def test_an_endpoint_is_loaded_once() -> None:
    store = MemoryStore({WEBHOOK_ID: endpoint()})
    cache = cache_of(store)
    assert cache.known(WEBHOOK_ID) is None
    found = await cache.find(WEBHOOK_ID)
    assert isinstance(found, Prepared)
    assert await cache.find(WEBHOOK_ID) is found
    assert cache.known(WEBHOOK_ID) is found
    assert store.lookups == [[WEBHOOK_ID]]


async def test_what_is_not_there_is_remembered_too() -> None:
    store = MemoryStore({})
    cache = cache_of(store)
    for _ in range(3):
        found = await cache.find(WEBHOOK_ID)
        assert isinstance(found, Refusal)
        assert found.code == "endpoint_not_found"
    assert len(store.lookups) == 1


async def test_all_who_ask_at_once_share_a_query() -> None:
    store = MemoryStore({WEBHOOK_ID: endpoint()})
    cache = cache_of(store)
    await asyncio.gather(*[cache.find(key) for key in (WEBHOOK_ID, "/a", WEBHOOK_ID, "/a", "/b")])
    assert store.lookups == [["/a", "/b", WEBHOOK_ID]]


async def test_a_change_is_seen_at_the_next_look() -> None:
    store = MemoryStore({WEBHOOK_ID: endpoint()})
    cache = cache_of(store)
    await cache.run_once()
    before = await cache.find(WEBHOOK_ID)
    assert isinstance(await cache.find("/new"), Refusal)
    await cache.run_once()
    assert cache.known(WEBHOOK_ID) is before
    store.endpoints = {WEBHOOK_ID: endpoint(max_payload_size=1), "/new": endpoint()}
    store.version += 1
    assert (await cache.run_once()) <= timedelta(seconds=0.5)
    after = await cache.find(WEBHOOK_ID)
    assert isinstance(after, Prepared)
    assert after.limit_bytes == 1024
    assert isinstance(await cache.find("/new"), Prepared)


async def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    reading, go_on = asyncio.Event(), asyncio.Event()

    class SlowStore(MemoryStore):
        async def find_endpoints(self, keys: Sequence[str]) -> Mapping[str, Endpoint]:
            found = await super().find_endpoints(keys)
            reading.set()
            await go_on.wait()
            return found

    store = SlowStore({WEBHOOK_ID: endpoint()})
    cache = cache_of(store)
    await cache.run_once()
    finding = asyncio.create_task(cache.find(WEBHOOK_ID))
    await reading.wait()
    store.endpoints = {}
    store.version += 1
    await cache.run_once()
    go_on.set()
    assert isinstance(await finding, Prepared)
    assert isinstance(await cache.find(WEBHOOK_ID), Refusal)


async def test_while_the_database_is_away_what_is_known_stays_known() -> None:
    store = MemoryStore({WEBHOOK_ID: endpoint()})
    cache = cache_of(store)
    await cache.run_once()
    found = await cache.find(WEBHOOK_ID)
    store.is_away = True
    assert (await cache.run_once()) <= timedelta(seconds=0.5)
    assert await cache.find(WEBHOOK_ID) is found
    with pytest.raises(DatabaseUnavailable):
        await cache.find("/other")


async def test_memory_is_bounded_for_what_is_there_and_for_what_is_not() -> None:
    store = MemoryStore({f"/{n}": endpoint() for n in range(50)})
    cache = cache_of(store, max_known=10, max_unknown=10)
    for n in range(100):
        await cache.find(f"/{n}")
    assert [n for n in range(100) if cache.known(f"/{n}")] == list(range(40, 50))
    store.lookups.clear()
    for n in range(90, 100):
        await cache.find(f"/{n}")
    assert store.lookups == []
    await cache.find("/89")
    assert store.lookups == [["/89"]]


async def test_an_inactive_endpoint_is_as_good_as_none() -> None:
    cache = cache_of(MemoryStore({WEBHOOK_ID: replace(endpoint(), is_active=False)}))
    assert isinstance(await cache.find(WEBHOOK_ID), Refusal)


@pytest.mark.parametrize(
    "error", [InvalidSetting("no key opens it"), InvalidConfig([("hmac", "unknown key")])]
)
async def test_an_endpoint_that_cannot_be_read_is_no_trouble_to_others(error: Exception) -> None:
    class Store(MemoryStore):
        async def find_endpoints(self, keys: Sequence[str]) -> Mapping[str, Endpoint]:
            found = await super().find_endpoints(keys)
            if "/broken" in keys:
                raise error
            return found

    store = Store({WEBHOOK_ID: endpoint()})
    cache = cache_of(store)
    broken, sound = await asyncio.gather(cache.find("/broken"), cache.find(WEBHOOK_ID))
    assert isinstance(broken, Refusal)
    assert broken.code == "endpoint_unusable"
    assert isinstance(sound, Prepared)
    lookups = len(store.lookups)
    assert await cache.find("/broken") == broken
    assert len(store.lookups) == lookups


async def test_a_database_that_hangs_is_not_waited_for_for_ever() -> None:
    class HangingStore(MemoryStore):
        async def find_endpoints(self, keys: Sequence[str]) -> Mapping[str, Endpoint]:
            return await asyncio.Future()

    cache = EndpointCache(HangingStore({}), timedelta(milliseconds=20), Catalogue())
    with pytest.raises(CommitTimeout):
        await cache.find(WEBHOOK_ID)


async def test_a_flood_of_unknown_addresses_is_bounded() -> None:
    hanging = asyncio.Event()

    class SlowStore(MemoryStore):
        async def find_endpoints(self, keys: Sequence[str]) -> Mapping[str, Endpoint]:
            await hanging.wait()
            return {}

    cache = EndpointCache(SlowStore({}), LONG, Catalogue())
    finding = [asyncio.create_task(cache.find(f"/{n}")) for n in range(5000)]
    await asyncio.sleep(0)  # lets all of them ask
    assert sum(task.done() for task in finding) == 3000
    hanging.set()
    results = await asyncio.gather(*finding, return_exceptions=True)
    assert {type(result) for result in results} == {Refusal, DatabaseUnavailable}


async def test_a_running_ingest_sees_changes_by_itself() -> None:
    here = site()
    await here.ingest.start()
    assert (await here.post(ENVELOPE, BEARER)).status == 200
    here.store.endpoints.clear()
    here.store.version += 1
    here.store.looked.clear()
    async with asyncio.timeout(1):
        await here.store.looked.wait()
    assert (await here.post(ENVELOPE, BEARER)).status == 404
    await here.ingest.stop(timedelta(0))
