"""What is remembered of answers."""

from __future__ import annotations

import json
import threading
import tracemalloc
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from kanca.domain.ids import IdFactory
from kanca.errors import DatabaseUnavailable
from kanca.ingest.receipts import Receipts
from kanca.ingest.rejections import Rejections
from kanca.ingest.statistics import Statistics
from kanca.storage.rejections import Rejection
from kanca.telemetry.metrics import RECEIVED
from tests.ingest.site import BEARER, ENVELOPE, JSON, NOON, SECRET, MemoryStore, endpoint, signed, site


async def test_answers_are_counted_and_refusals_kept_with_their_secrets_cut() -> None:
    here = site(endpoint("hmac"))
    body = json.dumps(ENVELOPE).encode()
    await here.post(body, JSON | signed(body))
    await here.post(body, JSON | signed(body))
    changed = body + b" !"
    await here.post(changed, JSON | signed(body) | {"cookie": "session=1", "authorization": "Bearer x"})
    await here.ingest.stop(timedelta(seconds=1))
    (counted,) = here.store.counted
    assert (counted.endpoint, counted.accepted, counted.duplicates, counted.rejected) == (100, 1, 1, 1)
    assert counted.last_accepted_at == NOON
    assert counted.response_us > 0
    (rejection,) = here.store.rejected
    assert rejection.client == "192.0.2.7"
    assert "none fits any" in rejection.detail
    described = json.loads(rejection.request)
    assert described["body"] == changed.decode()
    assert dict(described["headers"]) == {
        "content-type": "application/json",
        "x-webhook-signature": "[64 bytes]",
        "cookie": "[9 bytes]",
        "authorization": "[8 bytes]",
    }
    assert SECRET not in repr(here.store.rejected)


async def test_of_a_refusal_only_so_much_is_kept_whatever_was_sent() -> None:
    here = site()
    large = {f"x-{n}": "v" * 2000 for n in range(200)}
    await here.post(b"\xff" * 100_000, BEARER | JSON | large)
    await here.ingest.stop(timedelta(seconds=1))
    (rejection,) = here.store.rejected
    described = json.loads(rejection.request)
    assert described["body_bytes"] == 100_000
    assert len(rejection.request) < 25_000


async def test_statistics_are_added_up_by_endpoint_and_minute() -> None:
    statistics, store = Statistics(), MemoryStore({})
    for second in (0, 30, 59, 60):
        statistics.accepted(1, NOON + timedelta(seconds=second), 10)
    statistics.repeated(1, NOON, 5)
    statistics.rejected(2, NOON)
    await statistics.flush(store)
    assert [(each.endpoint, each.accepted, each.duplicates, each.rejected) for each in store.counted] == [
        (1, 3, 1, 0),
        (1, 1, 0, 0),
        (2, 0, 0, 1),
    ]


async def test_statistics_wait_for_a_database_that_is_away() -> None:
    statistics, store = Statistics(), MemoryStore({})
    statistics.accepted(1, NOON, 10)
    store.is_away = True
    with pytest.raises(DatabaseUnavailable):
        await statistics.flush(store)
    statistics.accepted(1, NOON + timedelta(seconds=1), 10)
    statistics.repeated(1, NOON, 5)
    statistics.rejected(2, NOON)
    with pytest.raises(DatabaseUnavailable):
        await statistics.flush(store)
    store.is_away = False
    await statistics.flush(store)
    await statistics.flush(store)
    first, second = store.counted
    assert (first.accepted, first.duplicates, first.response_us) == (2, 1, 25)
    assert first.last_accepted_at == NOON + timedelta(seconds=1)
    assert (second.endpoint, second.rejected) == (2, 1)


async def test_what_is_counted_during_a_failing_flush_is_kept_too() -> None:
    statistics = Statistics()

    class Failing(MemoryStore):
        async def add_statistics(self, counted: Sequence[object]) -> None:
            statistics.accepted(1, NOON + timedelta(seconds=2), 1)
            statistics.accepted(2, NOON, 1)
            raise DatabaseUnavailable

    statistics.accepted(1, NOON, 1)
    with pytest.raises(DatabaseUnavailable):
        await statistics.flush(Failing({}))
    store = MemoryStore({})
    await statistics.flush(store)
    assert [(counted.endpoint, counted.accepted) for counted in store.counted] == [(1, 2), (2, 1)]


async def test_statistics_are_bounded_while_they_cannot_be_stored() -> None:
    statistics, store = Statistics(max_tallies=10), MemoryStore({})
    for number in range(100):
        statistics.rejected(number, NOON)
    await statistics.flush(store)
    assert [counted.endpoint for counted in store.counted] == list(range(90, 100))


def _add(to: Rejections, endpoint: int, code: str, client: str = "192.0.2.7", **diagnosis: Any) -> None:
    made = Rejection(IdFactory().new(), endpoint, NOON, 400, code, "", client, b"{}")
    to.add(endpoint, code, client, lambda: made, **diagnosis)


def _unexpected() -> Any:
    raise AssertionError("nothing is made of what is not kept")


async def test_the_first_rejections_of_an_endpoint_are_kept_and_nothing_is_made_of_the_others() -> None:
    rejections, store = Rejections(max_per_endpoint=3), MemoryStore({})
    for number in range(3):
        _add(rejections, 1, str(number))
    rejections.add(1, "3", "192.0.2.7", _unexpected, _unexpected)
    await rejections.flush(store)
    await rejections.flush(store)
    assert [rejection.code for rejection in store.rejected] == ["0", "1", "2"]


async def test_what_is_alike_is_counted_with_the_last_that_is_kept() -> None:
    rejections, store = Rejections(max_alike=2), MemoryStore({})
    for _ in range(2):
        _add(rejections, 1, "x")
    for _ in range(1000):
        rejections.add(1, "x", "192.0.2.7", _unexpected, _unexpected)
    _add(rejections, 1, "x", client="192.0.2.8")
    _add(rejections, 1, "y")
    await rejections.flush(store)
    _add(rejections, 1, "x")
    await rejections.flush(store)
    assert [(each.code, each.client, each.count) for each in store.rejected] == [
        ("x", "192.0.2.7", 1),
        ("x", "192.0.2.7", 1001),
        ("x", "192.0.2.8", 1),
        ("y", "192.0.2.7", 1),
        ("x", "192.0.2.7", 1),
    ]


async def test_rejections_are_bounded_in_all() -> None:
    rejections, store = Rejections(max_endpoints=5), MemoryStore({})
    for number in range(1000):
        _add(rejections, number, "x")
    await rejections.flush(store)
    assert [rejection.endpoint for rejection in store.rejected] == [0, 1, 2, 3, 4]


async def test_rejections_wait_for_a_database_that_is_away_and_give_way_to_newer_ones() -> None:
    rejections, store = Rejections(max_per_endpoint=2, max_endpoints=2), MemoryStore({}, is_away=True)
    for code in ("1", "2", "3"):
        _add(rejections, 1, code)
        with pytest.raises(DatabaseUnavailable):
            await rejections.flush(store)
    store.is_away = False
    await rejections.flush(store)
    assert [rejection.code for rejection in store.rejected] == ["2", "3"]


async def test_a_diagnosis_replaces_the_detail_off_the_event_loop() -> None:
    rejections, store = Rejections(), MemoryStore({})
    threads = []

    def diagnose() -> str:
        threads.append(threading.current_thread())
        return "better"

    _add(rejections, 1, "x", diagnosis=lambda: diagnose)
    assert threads == []
    await rejections.flush(store)
    assert [rejection.detail for rejection in store.rejected] == ["better"]
    assert threads != [threading.main_thread()]


async def test_a_diagnosis_that_fails_costs_no_rejection() -> None:
    rejections, store = Rejections(), MemoryStore({})
    _add(rejections, 1, "x", diagnosis=lambda: _unexpected)
    _add(rejections, 1, "y", diagnosis=lambda: lambda: "better")
    with capture_logs() as logs:
        await rejections.flush(store)
    assert [rejection.detail for rejection in store.rejected] == ["", "better"]
    assert [line["event"] for line in logs] == ["diagnosis_failed"]


async def test_a_flood_costs_a_few_diagnoses_between_two_flushes() -> None:
    rejections, store = Rejections(max_diagnosed=5), MemoryStore({})
    for _ in range(2):
        for number in range(1000):
            _add(rejections, number, "x", diagnosis=lambda: lambda: "better")
        await rejections.flush(store)
    assert [rejection.detail for rejection in store.rejected].count("better") == 10


async def test_a_flood_of_refusals_leaves_little_in_memory_and_in_the_database() -> None:
    here = site(endpoint("hmac", max_payload_size=1024))
    body = b"{" + b" " * 1_000_000
    for number in range(2000):
        await here.post(body, signed(b""), client=(f"192.0.2.{number % 250}", 1))
    tracemalloc.start()
    try:
        for number in range(2000):
            await here.post(body, signed(b""), client=(f"192.0.2.{number % 250}", 1))
        gained, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await here.ingest.stop(timedelta(seconds=5))
    assert gained < 1_000_000
    assert len(here.store.rejected) <= 10
    assert sum(len(rejection.request) for rejection in here.store.rejected) < 100_000
    assert sum(counted.rejected for counted in here.store.counted) == 4000


def test_event_types_that_nobody_vouches_for_are_one_label() -> None:
    registry = CollectorRegistry()
    registry.register(RECEIVED)
    receipts = Receipts()

    def count(event_type: str, status: str) -> float:
        labels = {"event_type": event_type, "status": status}
        return registry.get_sample_value("webhook_received_total", labels) or 0

    before = count("other", "accepted"), count("other", "token_missing")
    receipts.taken("signed.type", "accepted", 0.003, is_authenticated=True)
    receipts.taken("signed.type", "duplicate", 0.003, is_authenticated=True)
    receipts.taken("anything", "accepted", 0.003, is_authenticated=False)
    receipts.refused("token_missing")
    receipts.flush()
    receipts.flush()
    assert (count("signed.type", "accepted"), count("signed.type", "duplicate")) == (1, 1)
    assert (count("other", "accepted"), count("other", "token_missing")) == (before[0] + 1, before[1] + 1)
