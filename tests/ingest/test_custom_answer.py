"""Answers in an endpoint's own words: what is sent, and that none of it can lose an event."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import Counter
from structlog.testing import capture_logs

from kanca.domain.endpoint import RECEIVE_WEBHOOK_ID
from kanca.domain.ids import EVENT, show_id
from kanca.domain.status import EventStatus
from kanca.ingest.answers import Original
from kanca.ingest.wording import LOG_EVERY
from kanca.telemetry.metrics import ANSWER_FAILURES
from tests.ingest.site import BEARER, ENVELOPE, NOON, WEBHOOK_ID, Reply, Site, endpoint, signed, site


def answering(answer: dict[str, Any], **config: Any) -> Site:
    return site(endpoint(answer=answer, **config))


def failures() -> float:
    [metric] = counted(ANSWER_FAILURES)
    return metric


def counted(counter: Counter) -> list[float]:
    return [
        sample.value for metric in counter.collect() for sample in metric.samples if "total" in sample.name
    ]


async def computed(source: str, body: Any = ENVELOPE, headers: dict[str, str] = BEARER) -> Reply:
    return await answering({"expression": source}).post(body, headers)


async def test_a_sender_gets_the_text_that_it_insists_on() -> None:
    here = answering({"body": "[accepted]"})
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.body) == (200, b"[accepted]")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["content-length"] == "10"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert here.event.source_event_id == "o-1"
    assert here.waker.wakes == 1


async def test_a_duplicate_gets_the_same_answer_and_makes_no_event() -> None:
    here = answering({"body": "OK"})
    replies = [await here.post(ENVELOPE, BEARER) for _ in range(2)]
    assert replies[0] == replies[1]
    assert here.event.source_event_id == "o-1"


async def test_status_and_headers_are_the_endpoints() -> None:
    here = answering(
        {"status": 202, "headers": {"Content-Type": "text/xml", "X-Shop": "a b"}, "body": "<Response/>"}
    )
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.body) == (202, b"<Response/>")
    assert (reply.headers["content-type"], reply.headers["x-shop"]) == ("text/xml", "a b")


async def test_an_empty_answer_has_no_type_and_a_204_no_length() -> None:
    empty = await answering({}).post(ENVELOPE, BEARER)
    no_content = await answering({"status": 204, "headers": {"x-a": "1"}}).post(ENVELOPE, BEARER)
    reset = await answering({"status": 205}).post(ENVELOPE, BEARER)
    assert (empty.status, empty.body, empty.headers) == (200, b"", {"content-length": "0"})
    assert (no_content.status, no_content.body, no_content.headers) == (204, b"", {"x-a": "1"})
    assert (reset.status, reset.body, reset.headers) == (205, b"", {"content-length": "0"})


async def test_pages_of_other_origins_may_read_it_as_they_may_the_standard_one() -> None:
    reply = await answering({"body": "OK"}).post(ENVELOPE, BEARER | {"origin": "https://shop.example.com"})
    assert reply.headers["access-control-allow-origin"] == "*"


async def test_refusals_keep_their_own_answer() -> None:
    reply = await answering({"body": "OK"}).post(ENVELOPE)
    assert (reply.status, reply.code) == (401, reply.json()["code"])
    assert b"OK" not in reply.body


# --- computed -----------------------------------------------------------------------------------------------------


async def test_text_is_sent_as_it_is_and_all_else_as_json() -> None:
    text = await computed("'order ' + event.data.total + ' ş'")
    thing = await computed("{'id': event.source_event_id, 'n': [1, 2.5, null]}")
    assert (text.body.decode(), text.headers["content-type"]) == ("order 9.90 ş", "text/plain; charset=utf-8")
    assert thing.headers["content-type"] == "application/json"
    assert thing.json() == {"id": "o-1", "n": [1, 2.5, None]}
    assert thing.headers["x-content-type-options"] == "nosniff"


async def test_an_expression_sees_the_event_the_endpoint_and_how_it_went() -> None:
    here = answering({"expression": "{'event': event, 'endpoint': endpoint, 'status': status}"})
    reply = await here.post(ENVELOPE, BEARER | {"x-correlation-id": "c-7", "x-a": "1"})
    event_id = show_id(EVENT, here.event.id)
    assert reply.json() == {
        "event": {
            "id": event_id,
            "type": "order.created",
            "data": {"total": "9.90"},
            "headers": {
                "authorization": "[redacted]",
                "content-type": "application/json",
                "x-correlation-id": "c-7",
                "x-a": "1",
            },
            "source_event_id": "o-1",
            "correlation_id": "c-7",
            "received_at": "2026-11-21T12:00:00+00:00",
            "status": "pending",
            "result": None,
        },
        "endpoint": {"id": WEBHOOK_ID},
        "status": "accepted",
    }


async def test_a_duplicate_is_answered_with_its_originals_id_status_and_result() -> None:
    here = answering({"expression": "[event.id, event.status, event.result, event.correlation_id, status]"})
    await here.post(ENVELOPE, BEARER)
    original = here.event.id
    here.store.became[original] = Original(
        original, "c-1", NOON, EventStatus.SUCCEEDED, NOON + timedelta(seconds=1), b'{"ok":true}'
    )
    again = await here.post(ENVELOPE, BEARER)
    assert again.json() == [show_id(EVENT, original), "succeeded", {"ok": True}, "c-1", "duplicate"]


async def test_a_body_that_is_no_json_is_data_as_well() -> None:
    reply = await computed("event.data", b"plain words", BEARER | {"content-type": "text/plain"})
    assert reply.body == b"plain words"


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("event.data.missing", ENVELOPE),
        ("1 / int(event.data.zero)", {"zero": 0}),
        ("event.data.name", b'{"name": "\\ud800"}'),
        ("event.data.n", b'{"n": 123456789012345678901234567890}'),
        ("event.data.text", {"text": "x" * 70_000}),
        ("event.data.nothing == null ? 1.0 / 0.0 : 1.0", {"nothing": None}),
    ],
)
async def test_an_expression_that_fails_costs_no_event_and_is_counted(source: str, body: Any) -> None:
    here = answering({"status": 202, "expression": source})
    before = failures()
    with capture_logs() as logs:
        reply = await here.post(body, BEARER)
    assert (reply.status, reply.json()["status"]) == (200, "accepted")
    assert reply.json()["event_id"] == show_id(EVENT, here.event.id)
    assert failures() == before + 1
    [line] = [line for line in logs if line["event"] == "custom_answer_failed"]
    assert (line["log_level"], line["webhook_id"]) == ("warning", WEBHOOK_ID)
    assert here.store.rejected == []


async def test_a_mistake_of_ours_costs_no_event_either(monkeypatch: pytest.MonkeyPatch) -> None:
    here = answering({"expression": "event.id"})

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("kanca.ingest.wording._scope", broken)
    assert (await here.post(ENVELOPE, BEARER)).json()["status"] == "accepted"


async def test_the_log_hears_of_an_endpoint_once_in_a_while() -> None:
    here = answering({"expression": "event.data.missing"})
    with capture_logs() as logs:
        for pause_s in (0, 1, LOG_EVERY.total_seconds(), 1):
            here.clock.now += pause_s
            await here.post(ENVELOPE, BEARER)
    assert len([line for line in logs if line["event"] == "custom_answer_failed"]) == 2


async def test_an_expression_that_is_no_longer_valid_closes_no_endpoint() -> None:
    here = answering({"expression": "event.data.exists(x, x > 1)"})
    assert (await here.post(ENVELOPE, BEARER)).json()["status"] == "accepted"


async def test_the_built_in_addresses_keep_their_answers() -> None:
    built_in = endpoint("kanca", answer={"body": "OK"})
    here = Site({RECEIVE_WEBHOOK_ID: built_in})
    body = json.dumps(ENVELOPE).encode()
    for status in ("accepted", "already_accepted"):
        assert (await here.post(body, signed(body), path="/webhooks/receive")).json()["status"] == status
