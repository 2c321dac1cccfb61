from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import structlog

from kanca import Kanca
from kanca.domain.ids import IdFactory
from kanca.errors import DatabaseUnavailable
from kanca.outbound.outbox import relaying, rows
from kanca.outbound.publishing import published_event
from kanca.storage import event_types
from kanca.storage.dialects import open_database
from kanca.storage.dialects.foreign import open_foreign
from kanca.storage.ports import Database
from tests.outbound.outbox.moving import look, move, relay_of, stored, write_rows
from tests.outbound.outbox.places import CALLERS, Place

_ids = IdFactory()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def publish(place: Place, hooks: Kanca, payloads: Sequence[Any], **about: Any) -> None:
    """Publish all of them in one transaction."""
    async with CALLERS[place.kind]["Session"](place) as caller:
        for payload in payloads:
            await caller.publish(hooks, "order.created", payload, **about)
        await caller.end(commit=True)


def row(**values: Any) -> dict[str, Any]:
    """A row as somebody else may write it."""
    return {
        "id": _ids.new(),
        "event_type": "order.created",
        "payload": b"{}",
        "tenant": "default",
        "correlation_id": "c",
        "created_at": 1_790_000_000_000_000,
    } | values


async def test_events_are_moved_in_the_order_of_their_rows(
    place: Place, own: Database, hooks: Kanca, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "BATCH", 10)
    await publish(place, hooks, range(25))
    appended: list[int] = []
    append = own.accepting.append

    async def noted(batch: Any) -> Any:
        appended.extend(json.loads(event.body)["data"] for event in batch)
        return await append(batch)

    monkeypatch.setattr(own.accepting, "append", noted)
    async with relay_of(place, own) as relay:
        pauses = [await relay.run_once() for _ in range(4)]

    assert appended == list(range(25))
    assert pauses[:2] == [timedelta(), timedelta()], "a full batch is followed by another at once"
    assert pauses[2] > timedelta()


async def test_a_relay_that_dies_between_storing_and_deleting_publishes_once(
    place: Place, own: Database, hooks: Kanca, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(place, hooks, [1, 2])
    with monkeypatch.context() as broken:
        broken.setattr(rows, "remove", _die)
        with pytest.raises(DatabaseUnavailable):
            await move(place, own)
    assert len(await stored(own)) == 2
    assert (await look(place))["waiting"] == 2

    assert len(await move(place, own)) == 2

    assert (await look(place))["waiting"] == 0


def _die(*_: Any) -> None:
    raise OSError("the machine is gone")


async def test_many_relays_at_once_publish_once(place: Place, own: Database, hooks: Kanca) -> None:
    await publish(place, hooks, range(300))
    async with AsyncExitStack() as opened:
        relays = [await opened.enter_async_context(relay_of(place, own)) for _ in range(4)]
        while (await look(place))["waiting"]:
            await asyncio.gather(*(relay.run_once() for relay in relays))

    assert sorted(json.loads(event.body)["data"] for event in await stored(own)) == list(range(300))


@pytest.mark.parametrize("empty_place", ["postgresql", "mariadb"], indirect=True)
async def test_while_one_relay_has_the_first_rows_others_leave_the_rest(
    place: Place, own: Database, hooks: Kanca
) -> None:
    await publish(place, hooks, range(4))
    source = open_foreign(place.url)
    async with source.transaction() as transaction:
        assert len(await transaction.run(rows.take, 2, 1000)) == 2

        assert await move(place, own) == []
    await source.close()

    assert len(await move(place, own)) == 4


async def test_a_transaction_that_is_open_keeps_nobody_waiting(
    place: Place, own: Database, hooks: Kanca
) -> None:
    async with CALLERS[place.kind]["Session"](place) as caller:
        if place.kind != "sqlite":  # a file has one writer at a time: there nobody else could publish
            await caller.publish(hooks, "order.created", "late")
        await publish(place, hooks, ["early"])
        assert [json.loads(event.body)["data"] for event in await move(place, own)] == ["early"]
        if place.kind == "sqlite":
            await caller.publish(hooks, "order.created", "late")
        await caller.end(commit=True)

    await move(place, own)

    assert {json.loads(event.body)["data"] for event in await stored(own)} == {"early", "late"}


async def test_rows_that_cannot_be_events_stay_aside_with_the_reason(
    place: Place, own: Database, hooks: Kanca
) -> None:
    bad = [
        row(payload=b"{"),
        row(payload=b"\xff"),
        row(tenant="not a tenant"),
        row(event_type=" "),
        row(created_at=1 << 62),
    ]
    await write_rows(place, *bad[:3], row(payload=b"1"), *bad[3:], row(payload=b"2"))

    events = await move(place, own)

    assert sorted(json.loads(event.body)["data"] for event in events) == [1, 2]
    found = await look(place)
    assert (found["waiting"], found["refused"]) == (0, len(bad))
    assert [UUID(hex=each["id"][4:]) for each in found["refused_items"]] == [each["id"] for each in bad]
    assert all(each["error"] for each in found["refused_items"])
    await publish(place, hooks, [3])
    assert len(await move(place, own)) == 3


@pytest.mark.parametrize("empty_place", ["sqlite"], indirect=True)
async def test_whatever_sqlite_keeps_in_a_column_blocks_nothing(place: Place, own: Database) -> None:
    async with CALLERS["sqlite"]["sqlite3"](place) as caller:
        for values in (
            "x'00', 'a', x'7b7d', 'default', 'c', 0",
            "'none', 'a', x'7b7d', 'default', 'c', 0",
            "hex(randomblob(16)), CAST(x'ff' AS TEXT), x'7b7d', 'default', 'c', 0",
            "hex(randomblob(16)), x'61', x'7b7d', 'default', 'c', 0",
            "hex(randomblob(16)), 'a', '{}', 'default', 'c', 0",
            "hex(randomblob(16)), 'a', x'7b7d', 'default', 'c', 'now'",
        ):
            columns = "id, event_type, payload, tenant, correlation_id, created_at"
            caller.connection.execute(f"INSERT INTO kanca_outbox ({columns}) VALUES ({values})")  # noqa: S608  the test's own
        await caller.end(commit=True)
    await write_rows(place, row())

    assert len(await move(place, own)) == 1

    assert (await look(place))["refused"] == 6


async def test_a_type_that_the_catalogue_refuses_stays_aside(place: Place, own: Database) -> None:
    await own.write(event_types.put, event_types.EventType("order.created", "", None, None, False, NOW, NOW))
    await write_rows(place, row(event_type="order.created"), row(event_type="unheard.of"))

    async with relay_of(place, own, is_closed=True) as relay:
        await relay.run_once()

    assert [event.type for event in await stored(own)] == ["order.created"]
    assert "unheard.of" in (await look(place))["refused_items"][0]["error"]


async def test_one_id_of_the_publishers_own_is_one_event(place: Place, own: Database, hooks: Kanca) -> None:
    await publish(place, hooks, [{"n": 1}, {"n": 1}], event_id="order-1")
    await move(place, own)
    await publish(place, hooks, [{"n": 1.0}], event_id="order-1")
    await publish(place, hooks, [{"n": 1}], event_id="order-1", tenant="acme")

    with structlog.testing.capture_logs() as logs:
        events = await move(place, own)

    assert [(event.tenant, event.source_event_id) for event in events] == [
        ("default", "order-1"),
        ("acme", "order-1"),
    ]
    assert not logs
    assert (await look(place))["waiting"] == 0


async def test_an_id_that_was_published_otherwise_counts_too_and_other_content_is_told(
    place: Place, own: Database, hooks: Kanca
) -> None:
    about: dict[str, Any] = {"event_type": "order.created", "by": "api", "event_id": "order-1"}
    first = published_event(_ids.new(), datetime.now(UTC), payload={"n": 1}, **about)
    await own.accepting.append([first])
    await publish(place, hooks, [{"n": 2}], event_id="order-1")

    with structlog.testing.capture_logs() as logs:
        events = await move(place, own)

    assert [event.id for event in events] == [first.id]
    assert [(each["event"], each["event_id"]) for each in logs] == [("outbox_conflict", "order-1")]


async def test_rows_that_waited_longer_than_any_window_are_one_event(place: Place, own: Database) -> None:
    old = UUID(
        int=(int((datetime.now(UTC) - timedelta(days=40)).timestamp() * 1000) << 80) | 7 << 76 | 2 << 62
    )
    for _ in range(2):
        await write_rows(place, row(id=old), row())
        await move(place, own)

    assert [event.id for event in await stored(own)].count(old) == 1
    assert len(await stored(own)) == 3


async def test_a_batch_is_bounded_in_bytes_but_has_at_least_one_row(
    place: Place, own: Database, hooks: Kanca, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "MAX_BATCH_BYTES", 500)
    await publish(place, hooks, ["x" * 1000, "y" * 200, "z" * 200, "w" * 200])

    assert [len(await move(place, own)) for _ in range(3)] == [1, 3, 4]


async def test_an_idle_relay_looks_ever_less_often_up_to_a_second(
    place: Place, own: Database, hooks: Kanca
) -> None:
    async with relay_of(place, own) as relay:
        pauses = [(await relay.run_once()).total_seconds() for _ in range(5)]
        await publish(place, hooks, [1])
        after_work = await relay.run_once()

    assert pauses == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert after_work.total_seconds() == 0.1


async def test_a_database_without_an_outbox_is_looked_at_now_and_then(
    empty_place: Place, sqlite_url: str
) -> None:
    own = await open_database(sqlite_url)
    async with relay_of(empty_place, own) as relay:
        assert await relay.run_once() == relaying.WITHOUT_TABLE
    await own.close()
    assert await look(empty_place) == {"is_installed": False}


async def test_what_could_not_be_stored_stays(
    place: Place, own: Database, hooks: Kanca, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(place, hooks, [1, 2])
    append = own.accepting.append

    async def half(batch: Any) -> Any:
        return [*(await append(batch[:1])), DatabaseUnavailable("the disk is full")]

    with monkeypatch.context() as broken:
        broken.setattr(own.accepting, "append", half)
        with pytest.raises(DatabaseUnavailable):
            await move(place, own)
    assert (await look(place))["waiting"] == 1

    assert len(await move(place, own)) == 2


async def test_whoever_waits_for_work_is_told_of_new_events(
    place: Place, own: Database, hooks: Kanca
) -> None:
    told: list[int] = []
    async with relay_of(place, own, lambda: told.append(1)) as relay:
        await relay.run_once()
        assert told == []
        await publish(place, hooks, [1])
        await relay.run_once()

    assert told == [1]
