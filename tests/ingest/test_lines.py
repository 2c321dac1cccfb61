"""What the log says of each request of a sender, and what it never says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kanca.domain.ids import EVENT, show_id
from kanca.ingest.routes import template_of
from kanca.telemetry.lines import lines
from tests.ingest.site import BEARER, ENVELOPE, PATH, TOKEN, WEBHOOK_ID, endpoint, site

Lines = list[dict[str, Any]]
TRACE = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


async def test_one_line_says_all_of_a_webhook_that_was_taken(written: Lines) -> None:
    here = site()

    await here.post(ENVELOPE | {"correlation_id": "c-1"}, BEARER | TRACE | {"user-agent": "Shop/1"})
    await here.post(ENVELOPE, BEARER)

    taken, repeated = written
    times = {name: taken.pop(name) for name in ("verify_ms", "commit_ms", "duration_ms")}
    assert 0 < times["verify_ms"] < times["duration_ms"]
    assert 0 < times["commit_ms"] < times["duration_ms"]
    assert taken == {
        "event": "webhook",
        "is_wrong": False,
        "method": "POST",
        "route": "/api/webhooks/{webhook_id}",
        "http_status": 200,
        "status": "accepted",
        "webhook_id": WEBHOOK_ID,
        "provider": "generic",
        "tenant": "default",
        "event_id": show_id(EVENT, here.event.id),
        "event_type": "order.created",
        "source_event_id": "o-1",
        "correlation_id": "c-1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "client": "192.0.2.7",
        "user_agent": "Shop/1",
        "body_bytes": len(here.event.body),
    }
    assert (repeated["status"], repeated["event_id"]) == ("duplicate", taken["event_id"])


async def test_one_line_says_why_a_request_was_refused(written: Lines) -> None:
    here = site()

    await here.post(ENVELOPE)
    await here.post(ENVELOPE, path="/api/webhooks/wh_000000000000000000000000")

    refused, unknown = written
    assert (refused["status"], refused["code"], refused["http_status"]) == ("refused", "token_missing", 401)
    assert (refused["webhook_id"], refused["client"], refused["is_wrong"]) == (WEBHOOK_ID, "192.0.2.7", True)
    assert "event_id" not in refused
    assert (unknown["code"], unknown["http_status"]) == ("endpoint_not_found", 404)
    assert unknown["route"] == "/api/webhooks/{webhook_id}"


async def test_neither_bodies_nor_queries_nor_tokens_are_ever_written(written: Lines) -> None:
    secret = "s3cr3t-of-the-body"
    here = site(endpoint("generic"))
    body = json.dumps({"event_type": "a.b", "data": {"card": secret}}).encode()
    query: dict[str, Any] = {"query_string": b"token=s3cr3t-of-the-query"}

    await here.post(body, BEARER, **query)
    await here.post(body, {"authorization": "Bearer wht_wrong-s3cr3t", "cookie": "s3cr3t-cookie"}, **query)
    await here.post(b"{" + secret.encode(), BEARER, **query)
    await here.post(body, BEARER, path="/webhooks/resume/s3cr3t-token.s3cr3t", **query)

    text = json.dumps(written)
    assert len(written) == 4
    assert "s3cr3t" not in text
    assert TOKEN not in text


@pytest.mark.parametrize(("wanted", "statuses"), [("all", [200, 401]), ("errors", [401]), ("off", [])])
async def test_how_many_lines_there_are_is_a_setting(
    written: Lines, wanted: str, statuses: list[int]
) -> None:
    lines.configure(wanted, lambda event, fields, _: written.append({"event": event, **fields}))
    here = site()

    await here.post(ENVELOPE, BEARER)
    await here.post(ENVELOPE)

    assert [line["http_status"] for line in written] == statuses


def test_a_path_is_written_as_its_route() -> None:
    paths = [PATH, "/webhooks/orders", "/webhooks/receive", "/webhooks/resume/abc", "/webhooks/\x00", "/else"]

    assert [template_of(path) for path in paths] == [
        "/api/webhooks/{webhook_id}",
        "/webhooks/{slug}",
        "/webhooks/receive",
        "/webhooks/resume/{token}",
        "/webhooks/{slug}",
        "-",
    ]
