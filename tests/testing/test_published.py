from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import StaticPool, create_engine, select

from kanca import Event, Kanca
from kanca.outbound.outbox.table import outbox
from kanca.outbox import create_outbox
from kanca.settings import Settings
from kanca.testing import Published, call, collect_published, run_workflow, send

# A database that cannot be opened: whoever tries fails the test.
hooks = Kanca(Settings(database_url="postgresql://nobody@127.0.0.1:1/nothing"))


@hooks.on("order.created", name="invoice")
async def invoice(event: Event[Any]) -> str:
    about = {"event_id": f"invoice-{event.data['id']}", "tenant": "acme"}
    identifier = await hooks.publish("invoice.created", {"order": event.data["id"]}, **about)
    if event.data.get("again"):
        assert await hooks.publish("invoice.created", {"order": event.data["id"]}, **about) == identifier
    if event.data.get("taken"):
        await hooks.publish("invoice.created", {"order": "another"}, **about)
    if event.data.get("fails"):
        raise RuntimeError("the printer is on fire")
    return identifier


@hooks.on("order.*", name="stock")
def stock(event: Event[Any]) -> None:
    hooks.publish_sync("stock.changed", event.data["id"])


@hooks.on("blocking", name="blocking")
async def blocking(event: Event[Any]) -> None:
    hooks.publish_sync("stock.changed", 1)


@hooks.on("elsewhere", name="elsewhere")
async def elsewhere(event: Event[Any]) -> None:
    publish = partial(hooks.publish_sync, "stock.changed", 1)
    await asyncio.get_running_loop().run_in_executor(None, publish)


@hooks.node("Announce")
async def announce(step: Any, config: Any) -> Any:
    await hooks.publish("announced", step.input)
    return step.input


async def test_what_a_handler_publishes_is_in_its_result() -> None:
    result = await call(hooks, invoice, "order.created", {"id": 7}, correlation_id="c-1")
    assert result.status == "succeeded"
    assert result.result.startswith("evt_")
    assert result.published == (Published("invoice.created", {"order": 7}, "invoice-7", "acme", "c-1"),)


async def test_each_handler_has_what_it_published_itself() -> None:
    results = await send(hooks, "order.created", {"id": 7})
    assert {name: [each.event_type for each in result.published] for name, result in results.items()} == {
        "invoice": ["invoice.created"],
        "stock": ["stock.changed"],
    }


async def test_calls_at_the_same_time_do_not_mix() -> None:
    results = await asyncio.gather(
        *(call(hooks, stock, "order.created", {"id": number}) for number in range(5))
    )
    assert [[each.data for each in result.published] for result in results] == [[0], [1], [2], [3], [4]]


async def test_an_id_of_ones_own_names_one_event_in_a_test_too() -> None:
    result = await call(hooks, invoice, "order.created", {"id": 7, "again": True})
    assert (result.status, len(result.published)) == ("succeeded", 1)

    refused = await call(hooks, invoice, "order.created", {"id": 7, "taken": True})
    assert refused.error is not None
    assert refused.error["type"].endswith("EventIdTaken")


async def test_what_a_failed_attempt_published_stays_published() -> None:
    result = await call(hooks, invoice, "order.created", {"id": 7, "fails": True})
    assert (result.status, len(result.published)) == ("retrying", 1)


async def test_a_handler_that_would_wait_for_its_own_event_loop_fails_as_in_a_worker() -> None:
    result = await call(hooks, blocking, "blocking", {})
    assert result.error is not None
    assert "use `await publish(…)`" in result.error["message"]


async def test_a_thread_without_a_context_opens_no_database_either() -> None:
    result = await call(hooks, elsewhere, "elsewhere", {})
    assert [each.event_type for each in result.published] == ["stock.changed"]


async def test_nodes_of_ones_own_publish_beside_send_webhook() -> None:
    definition = {
        "id": "announcing",
        "nodes": [
            {"id": "order", "type": "WebhookTrigger"},
            {"id": "announce", "type": "Announce"},
            {"id": "tell", "type": "SendWebhook", "config": {"event_type": "order.told", "event_id": "o-7"}},
        ],
        "edges": [{"from": "order", "to": "announce"}, {"from": "announce", "to": "tell"}],
    }
    run = await run_workflow(definition, {"id": 7}, event_type="order.created", hooks=hooks)
    assert [(each.event_type, each.data, each.event_id) for each in run.published] == [
        ("announced", {"id": 7}, None),
        ("order.told", {"id": 7}, "o-7"),
    ]
    assert run.published[1].correlation_id == "test"


async def test_what_goes_through_a_connection_is_in_its_transaction() -> None:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    mine = Kanca()

    @mine.on("order.created", name="outboxed")
    async def outboxed(event: Event[Any]) -> None:
        with engine.begin() as connection:
            create_outbox(connection)
            mine.publish_sync("invoice.created", {"order": 7}, connection=connection)

    result = await call(mine, outboxed, "order.created", {})
    assert (result.status, result.published) == ("succeeded", ())
    with engine.connect() as connection:
        assert connection.execute(select(outbox.c.event_type)).scalars().all() == ["invoice.created"]
    engine.dispose()


def test_code_of_ones_own_publishes_into_the_list_while_it_is_collected() -> None:
    with collect_published() as published:
        hooks.publish_sync("order.created", {"id": 1})
        thread = threading.Thread(target=hooks.publish_sync, args=("order.created", {"id": 2}))
        thread.start()
        thread.join()
        assert [each.data for each in published] == [{"id": 1}, {"id": 2}]


@pytest.fixture
def collected() -> Iterator[list[Published]]:
    with collect_published() as published:
        yield published


@pytest.fixture
async def collected_asynchronously() -> AsyncIterator[list[Published]]:
    with collect_published() as published:
        yield published


async def test_a_fixture_may_collect(
    collected: list[Published], collected_asynchronously: list[Published]
) -> None:
    await hooks.publish("order.created", {"id": 1})
    assert (len(collected), len(collected_asynchronously)) == (0, 1)


async def test_calls_keep_what_they_publish_to_themselves(collected: list[Published]) -> None:
    result = await call(hooks, stock, "order.created", {"id": 7})
    assert (len(result.published), collected) == (1, [])
