"""What is remembered of answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta

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
    await here.post(body + b" ", JSON | signed(body) | {"cookie": "session=1", "authorization": "Bearer x"})
    await here.ingest.stop(timedelta(seconds=1))
    (counted,) = here.store.counted
    assert (counted.endpoint, counted.accepted, counted.duplicates, counted.rejected) == (100, 1, 1, 1)
    assert counted.last_accepted_at == NOON
    assert counted.response_us > 0
    (rejection,) = here.store.rejected
    assert rejection.client == "192.0.2.7"
    assert "none fits any" in rejection.detail
    described = json.loads(rejection.request)
    assert described["body"] == body.decode() + " "
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


def _rejection(endpoint: int, code: str) -> Rejection:
    return Rejection(IdFactory().new(), endpoint, NOON, 400, code, "", "", b"{}")


async def test_the_latest_rejections_of_an_endpoint_are_kept() -> None:
    rejections, store = Rejections(max_per_endpoint=3), MemoryStore({})
    for number in range(10):
        rejections.add(_rejection(1, str(number)))
    await rejections.flush(store)
    await rejections.flush(store)
    assert [rejection.code for rejection in store.rejected] == ["7", "8", "9"]


async def test_rejections_are_bounded_in_all() -> None:
    rejections, store = Rejections(max_endpoints=5), MemoryStore({})
    for number in range(1000):
        rejections.add(_rejection(number, "x"))
    assert not rejections.has_room(999)
    await rejections.flush(store)
    assert len(store.rejected) == 5


async def test_rejections_wait_for_a_database_that_is_away_and_give_way_to_newer_ones() -> None:
    rejections, store = Rejections(max_per_endpoint=2, max_endpoints=2), MemoryStore({}, is_away=True)
    for code in ("1", "2", "3"):
        rejections.add(_rejection(1, code))
        with pytest.raises(DatabaseUnavailable):
            await rejections.flush(store)
    store.is_away = False
    await rejections.flush(store)
    assert [rejection.code for rejection in store.rejected] == ["2", "3"]


def test_event_types_that_nobody_vouches_for_are_one_label() -> None:
    registry = CollectorRegistry()
    registry.register(RECEIVED)
    receipts = Receipts()

    def count(event_type: str, status: str) -> float:
        labels = {"event_type": event_type, "status": status}
        return registry.get_sample_value("webhook_received_total", labels) or 0

    before = count("other", "accepted"), count("other", "token_missing")
    receipts.taken("signed.type", "accepted", is_authenticated=True)
    receipts.taken("signed.type", "duplicate", is_authenticated=True)
    receipts.taken("anything", "accepted", is_authenticated=False)
    receipts.refused("token_missing")
    receipts.flush()
    receipts.flush()
    assert (count("signed.type", "accepted"), count("signed.type", "duplicate")) == (1, 1)
    assert (count("other", "accepted"), count("other", "token_missing")) == (before[0] + 1, before[1] + 1)


async def test_every_request_is_one_line_for_debugging() -> None:
    with capture_logs() as logs:
        here = site()
        await here.post(ENVELOPE, BEARER)
        await here.post(ENVELOPE)
    assert [(line["event"], line["log_level"], line["status"]) for line in logs] == [
        ("webhook", "debug", "accepted"),
        ("webhook", "debug", "token_missing"),
    ]
