"""What the log says of each attempt of work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kanca.domain.ids import EVENT, show_id
from kanca.domain.retry import RetryPolicy
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from tests.workers.receiving import Receivers, delivered, published, subscribe
from tests.workers.site import Site

Lines = list[dict[str, Any]]
AT_ONCE = RetryPolicy(max_attempts=2, initial_delay=timedelta(0))
SECRET = "s3cr3t-in-a-message"


async def there_are(site: Site, written: Lines, count: int) -> list[dict[str, Any]]:
    """The lines of attempts, once there are so many."""

    async def enough() -> bool:
        return len([line for line in written if line["event"] == "attempt"]) >= count

    await site.until(enough)
    return [line for line in written if line["event"] == "attempt"]


async def test_one_line_says_all_of_a_call(site: Site, written: Lines) -> None:
    handlers = HandlerRegistry()

    @handlers.on("order.created", name="confirm")
    async def confirm(event: Event[Any]) -> None: ...

    worker = await site.start(handlers)
    [event] = await site.accept(data={"id": 1}, correlation_id="c-1")

    [line] = await there_are(site, written, 1)

    assert line.pop("duration_ms") >= 0
    assert line.pop("task") > 0
    assert line == {
        "event": "attempt",
        "is_wrong": False,
        "kind": "call",
        "work": "handler:confirm",
        "worker": worker.number,
        "attempt_number": 1,
        "result": "succeeded",
        "event_id": show_id(EVENT, event),
        "event_type": "order.created",
        "tenant": "default",
        "correlation_id": "c-1",
        "trace_id": event.hex,
    }


async def test_failures_are_lines_with_their_code_and_not_with_their_words(
    site: Site, written: Lines
) -> None:
    handlers = HandlerRegistry()

    @handlers.on("order.created", name="confirm", retry=AT_ONCE)
    async def confirm(event: Event[Any]) -> None:
        raise RuntimeError(SECRET)

    await site.start(handlers)
    await site.accept(data={"id": 1})

    first, last = await there_are(site, written, 2)

    assert (first["result"], first["code"], first["attempt_number"]) == ("retried", "handler_error", 1)
    assert first["retry_in_s"] == 0
    assert (last["result"], last["code"], last["attempt_number"]) == ("dead", "handler_error", 2)
    assert last["dead_letter_id"].startswith("dl_")
    assert last["call_id"] == first["call_id"]
    assert first["is_wrong"]
    assert last["is_wrong"]
    assert SECRET not in repr(written)


async def test_deliveries_are_lines_with_what_was_answered(site: Site, written: Lines) -> None:
    receivers = Receivers()
    receivers.answers["shop"] = [503, 200]
    await subscribe(site, "shop", retry_config={"schedule": [0, 0]})
    await site.start(sending=receivers.means())
    [event] = await published(site)
    await delivered(site, event)

    first, last = await there_are(site, written, 2)

    assert (first["kind"], first["result"], first["http_status"]) == ("deliver", "retried", 503)
    assert first["work"] == "subscription:shop"
    assert (last["result"], last["http_status"], last["subscription_id"]) == ("delivered", 200, "shop")
    assert last["delivery_id"].startswith("dlv_")
    assert last["attempt_number"] == 2
    assert last["age_ms"] >= last["duration_ms"]


async def test_the_end_of_a_run_is_a_line_with_the_run(site: Site, written: Lines) -> None:
    await site.add_workflow("answer", {"id": "done", "type": "Stop", "config": {}})
    await site.change_endpoint(workflow_id="answer", node_id="start")
    await site.start()
    await site.accept(data={"id": 1})

    [line] = await there_are(site, written, 1)

    assert (line["kind"], line["work"], line["result"]) == ("run", "workflow:answer", "succeeded")
    assert line["run_id"].startswith("run_")
