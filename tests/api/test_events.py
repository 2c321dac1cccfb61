from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
from sqlalchemy import Connection, insert

from kanca.api.services import Services
from kanca.domain.endpoint import RECEIVE_WEBHOOK_ID
from kanca.domain.ids import CALL, DEAD_LETTER, RUN, derived_id, show_id
from kanca.domain.status import OutcomeStatus
from kanca.domain.task import EventField
from kanca.ingest import answers
from kanca.ingest.prepared import prepare
from kanca.ingest.reading import Reading
from kanca.providers import Catalogue
from kanca.storage.ports import Database
from kanca.storage.tables import event_fields
from tests.api.rows import accept, number_of, shown, store
from tests.factories import a_dead_letter, an_attempt, an_outcome, ids, new_endpoint

REQUEST = msgspec.json.encode(
    {
        "method": "POST",
        "path": "/webhooks/orders",
        "ip": "203.0.113.9",
        "user_agent": "curl/8.5.0",
        "headers": [["content-type", "application/json"], ["x-a", "1"], ["x-a", "2"]],
        "authenticated": True,
        "test": False,
    }
)


async def endpoint(client: httpx.AsyncClient, database: Database) -> tuple[str, int]:
    made = (await client.post("/api/webhooks/endpoints", json={"name": "Orders"})).json()
    return made["webhook_id"], await number_of(database, made["webhook_id"])


async def listed(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/api/events", params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_an_event_shows_what_came_in(client: httpx.AsyncClient, database: Database) -> None:
    webhook_id, number = await endpoint(client, database)
    event = await accept(
        database, endpoint=number, request=REQUEST, source_event_id="src", body=b'{"b": 1, "a": 2}'
    )

    found = (await client.get(f"/api/events/{shown(event)}")).json()

    assert {
        key: found[key] for key in ("webhook_id", "endpoint_name", "provider", "event_type", "status")
    } == {
        "webhook_id": webhook_id,
        "endpoint_name": "Orders",
        "provider": "generic",
        "event_type": "order.created",
        "status": "pending",
    }
    assert (found["source_event_id"], found["correlation_id"]) == ("src", "cor-1")
    assert (found["source_ip"], found["user_agent"]) == ("203.0.113.9", "curl/8.5.0")
    assert (found["request_method"], found["request_path"]) == ("POST", "/webhooks/orders")
    assert found["request_headers"] == {"content-type": "application/json", "x-a": "1, 2"}
    assert list(found["payload"]) == ["b", "a"]
    assert (found["processed_at"], found["execution_time_ms"], found["error_message"]) == (None, None, None)
    assert (found["work"], found["failed_attempts"], found["retry_count"]) == ([], [], 0)


async def test_what_the_sender_was_answered_is_what_ingest_says(
    client: httpx.AsyncClient, database: Database
) -> None:
    webhook_id, number = await endpoint(client, database)
    plain = await accept(database, endpoint=number, received_at=datetime(2026, 5, 5, tzinfo=UTC))
    received = await accept(database, endpoint=1, source_event_id="src")
    reading = Reading(plain.type, None, None, None)
    prepared = prepare(new_endpoint(webhook_id=webhook_id), Catalogue())
    built_in = prepare(new_endpoint(webhook_id=RECEIVE_WEBHOOK_ID), Catalogue())

    shown_plain = (await client.get(f"/api/events/{shown(plain)}")).json()
    shown_received = (await client.get(f"/api/events/{shown(received)}")).json()

    assert shown_plain["response_status"] == 200
    assert shown_plain["response_body"] == json.loads(answers.accepted(prepared, plain, reading))
    assert shown_received["response_body"] == json.loads(answers.accepted_by_id(built_in, received, reading))


async def test_nothing_is_claimed_of_answers_in_the_endpoints_own_words(
    client: httpx.AsyncClient, database: Database
) -> None:
    webhook_id, number = await endpoint(client, database)
    event = await accept(database, endpoint=number)
    await client.put(f"/api/webhooks/endpoints/{webhook_id}", json={"config": {"answer": {"body": "OK"}}})

    found = (await client.get(f"/api/events/{shown(event)}")).json()

    assert (found["response_status"], found["response_body"]) == (None, None)


async def test_bodies_that_json_hardly_knows_are_shown_as_they_came(
    client: httpx.AsyncClient, database: Database
) -> None:
    number = (await endpoint(client, database))[1]
    bodies = {
        b'{"a": "\\ud800"}': b'{"a": "\\ud800"}',
        b'{"a": 1e999, "b": 123456789012345678901234567890}': b'{"a": 1e999, "b": 123456789012345678901234567890}',
        b'{"a": 1, "a": 2}': b'{"a": 1, "a": 2}',
        b'"\\u0000"': b'"\\u0000"',
        b'\xef\xbb\xbf {"bom": true}\n': b'{"bom": true}',
        b"1" * 4000: b"1" * 4000,
        b"[" * 250 + b"]" * 250: b"[" * 250 + b"]" * 250,
    }
    for body, in_answer in bodies.items():
        event = await accept(database, endpoint=number, body=body)
        one = await client.get(f"/api/events/{shown(event)}")
        page = await client.get("/api/events?limit=1")
        assert b'"payload":' + in_answer + b"," in one.content
        assert b'"payload":' + in_answer + b"," in page.content
        assert one.json()["body_base64"] is None


async def test_bodies_of_other_kinds_are_shown_as_what_they_say(
    client: httpx.AsyncClient, database: Database
) -> None:
    number = (await endpoint(client, database))[1]
    for content_type, body, payload in (
        ("application/x-www-form-urlencoded", b"a=1&b=%C5%9E&a=2", {"a": ["1", "2"], "b": "Ş"}),
        ("application/xml", b'<order id="1"><total>2</total></order>', {"order": {"@id": "1", "total": "2"}}),
        ("application/x-ndjson", b'{"a":1}\n"\\ud800"\n1e999', [{"a": 1}, "\ud800", None]),
        ("text/plain", b"hello", "hello"),
        ("application/json", '{"a":"Ş"}'.encode("utf-16"), {"a": "Ş"}),
    ):
        request = json.dumps(json.loads(REQUEST) | {"headers": [["Content-Type", content_type]]}).encode()
        event = await accept(database, endpoint=number, request=request, body=body)
        found = (await client.get(f"/api/events/{shown(event)}")).json()
        assert (found["payload"], found["body_base64"]) == (payload, None)


async def test_binary_bodies_are_shown_as_bytes(client: httpx.AsyncClient, database: Database) -> None:
    number = (await endpoint(client, database))[1]
    request = json.dumps(json.loads(REQUEST) | {"headers": [["Content-Type", "image/png"]]}).encode()
    event = await accept(database, endpoint=number, request=request, body=b"\x89PNG")
    found = (await client.get(f"/api/events/{shown(event)}")).json()
    assert (found["payload"], b64decode(found["body_base64"])) == (None, b"\x89PNG")


async def test_bodies_that_are_not_the_json_they_say_are_shown_as_bytes(
    client: httpx.AsyncClient, database: Database
) -> None:
    number = (await endpoint(client, database))[1]
    for body in (b"\xff\x00", b"a=1&b=2", b"", b"NaN", b'{"a": NaN}', b"[" * 100_000, b'"\xff"'):
        event = await accept(database, endpoint=number, body=body)
        found = (await client.get(f"/api/events/{shown(event)}")).json()
        assert found["payload"] is None
        assert b64decode(found["body_base64"]) == body
        assert found["body_bytes"] == len(body)


async def test_large_bodies_are_left_out_of_lists(client: httpx.AsyncClient, database: Database) -> None:
    body = b'"' + b"x" * 100_000 + b'"'
    event = await accept(database, body=body)

    [item] = (await client.get("/api/events")).json()["items"]
    one = (await client.get(f"/api/events/{shown(event)}")).json()

    assert (item["payload"], item["body_base64"], item["is_payload_omitted"]) == (None, None, True)
    assert (len(one["payload"]), one["is_payload_omitted"]) == (100_000, False)


async def test_a_body_is_downloaded_as_the_bytes_that_came(
    client: httpx.AsyncClient, database: Database
) -> None:
    body = b"<script>alert(1)</script>\x00\xff"
    event = await accept(database, body=body)

    answer = await client.get(f"/api/events/{shown(event)}/body")

    assert answer.content == body
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == f'attachment; filename="{shown(event)}.bin"'


async def test_an_event_shows_what_became_of_it(client: httpx.AsyncClient, database: Database) -> None:
    event = await accept(database)
    begun = datetime(2026, 5, 5, 12, tzinfo=UTC)
    ended = begun + timedelta(milliseconds=250)
    work = "workflow:w"
    await store(
        database,
        an_attempt(event, work=work, code="node_failed", error=b'{"code":"node_failed","message":"not yet"}'),
        an_outcome(
            event,
            work=work,
            result=b'{"big":12345678901234567890}',
            attempt_number=2,
            started_at=begun,
            finished_at=ended,
            ref=derived_id(event.id, work),
        ),
    )

    found = (await client.get(f"/api/events/{shown(event)}")).json()

    assert (found["status"], found["execution_time_ms"], found["retry_count"]) == ("succeeded", 250, 1)
    assert found["processed_at"] == "2026-05-05T12:00:00.250000Z"
    assert found["error_message"] is None
    [piece], [failed] = found["work"], found["failed_attempts"]
    assert (piece["work"], piece["result"]) == (work, {"big": 12345678901234567890})
    assert (piece["run_id"], piece["dead_letter_id"]) == (show_id(RUN, derived_id(event.id, work)), None)
    assert (failed["code"], failed["error"]["message"]) == ("node_failed", "not yet")
    assert failed["call_id"].startswith(CALL)


async def test_a_dead_event_says_why(client: httpx.AsyncClient, database: Database) -> None:
    event = await accept(database)
    letter = a_dead_letter(event)
    cause = b'{"code":"handler_error","message":"no \\ud800 way"}'
    await store(
        database,
        an_attempt(event, attempt_number=5, error=cause),
        letter,
        an_outcome(event, status=OutcomeStatus.DEAD, reason="handler_error", attempt_number=5, ref=letter.id),
    )
    lost = await accept(database)
    await store(database, an_outcome(lost, status=OutcomeStatus.DEAD, reason="worker_lost"))

    found = (await client.get(f"/api/events/{shown(event)}")).json()
    lost_one = (await client.get(f"/api/events/{shown(lost)}")).json()

    assert (found["status"], found["error_message"], found["retry_count"]) == ("dead", "no ? way", 4)
    assert found["work"][0]["dead_letter_id"] == show_id(DEAD_LETTER, letter.id)
    assert (lost_one["status"], lost_one["error_message"]) == ("dead", "worker_lost")


async def test_an_event_for_which_nothing_was_done_says_why_in_lists_too(
    client: httpx.AsyncClient, database: Database
) -> None:
    skipped, done = await accept(database), await accept(database)
    handled = {"work": "handler:h", "works": 2}
    await store(database, an_outcome(skipped, status=OutcomeStatus.SKIPPED, reason="no_target"))
    await store(
        database,
        an_outcome(done, **handled),
        an_outcome(done, work="handler:other", status=OutcomeStatus.SKIPPED, reason="gone"),
    )

    items = (await client.get("/api/events")).json()["items"]
    one = (await client.get(f"/api/events/{shown(skipped)}")).json()

    assert {item["id"]: (item["status"], item["reason"]) for item in items} == {
        shown(skipped): ("skipped", "no_target"),
        shown(done): ("succeeded", None),
    }
    assert (one["status"], one["reason"]) == ("skipped", "no_target")


async def test_an_event_that_is_tried_again_says_what_went_wrong(
    client: httpx.AsyncClient, database: Database
) -> None:
    event = await accept(database)
    await store(
        database,
        *(
            an_attempt(event, attempt_number=n, error=b'{"code":"c","message":"try %d"}' % n, id=ids.new())
            for n in (1, 2)
        ),
    )

    found = (await client.get(f"/api/events/{shown(event)}")).json()

    assert (found["status"], found["retry_count"]) == ("pending", 2)
    assert found["error_message"] in {"try 1", "try 2"}
    assert found["processed_at"] is None


async def test_events_are_searched(client: httpx.AsyncClient, database: Database) -> None:
    webhook_id, number = await endpoint(client, database)
    mine = shown(await accept(database, endpoint=number))
    typed = shown(await accept(database, type="push"))
    correlated = shown(await accept(database, correlation_id="basket 7"))
    labelled = shown(await accept(database, tenant="acme"))
    done = await accept(database)
    await store(database, an_outcome(done))

    assert await listed(client) == [shown(done), labelled, correlated, typed, mine]
    assert await listed(client, webhook_id=webhook_id) == [mine]
    assert await listed(client, event_type="push") == [typed]
    assert await listed(client, correlation_id="basket 7") == [correlated]
    assert await listed(client, tenant="acme") == [labelled]
    assert await listed(client, status="succeeded") == [shown(done)]
    assert await listed(client, status="pending", event_type="push") == [typed]
    assert await listed(client, since="1970-01-01", until="2001-01-01T00:00:00Z") == []
    assert len(await listed(client, since="2001-01-01")) == 5


async def test_pages_go_on_where_the_last_one_ended(client: httpx.AsyncClient, database: Database) -> None:
    webhook_id, number = await endpoint(client, database)
    made = [shown(await accept(database, endpoint=number)) for _ in range(5)]
    path = f"/api/webhooks/{webhook_id}/events"

    first = (await client.get(path, params={"limit": 3})).json()
    second = (await client.get(path, params={"limit": 3, "cursor": first["next_cursor"]})).json()
    by_offset = (await client.get(path, params={"limit": 2, "offset": 3})).json()

    assert [item["id"] for item in first["items"] + second["items"]] == made[::-1]
    assert second["next_cursor"] is None
    assert [item["id"] for item in by_offset["items"]] == made[1::-1]


async def test_a_search_that_cannot_be_is_refused(client: httpx.AsyncClient) -> None:
    for query in (
        "limit=0",
        "limit=501",
        "offset=-1",
        "offset=10001",
        "status=lost",
        "since=yesterday",
        "event_type=%00",
        "correlation_id=",
        "webhook_id=x",
        "cursor=!",
        "colour=red",
    ):
        answer = await client.get(f"/api/events?{query}")
        assert answer.status_code == 422, query


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for path in ("/api/events/x", "/api/events/evt_x", f"/api/events/{show_id('evt', ids.new())}"):
        for address in (path, f"{path}/body"):
            answer = await client.get(address)
            assert (answer.status_code, answer.json()["code"]) == (404, "event_not_found")
    unknown = await client.get("/api/events", params={"webhook_id": f"wh_{'0' * 24}"})
    assert unknown.json()["code"] == "endpoint_not_found"


async def test_a_number_is_no_moment(client: httpx.AsyncClient) -> None:
    for since in ("0.5", "1700000000", "-1", "nan"):
        answer = await client.get("/api/events", params={"since": since})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert (await client.get("/api/events", params={"since": "2026-03-01"})).status_code == 200
    assert (await client.post("/api/events/replay", json={"since": 1_700_000_000})).status_code == 422


async def test_what_is_said_in_json_is_of_its_type(client: httpx.AsyncClient) -> None:
    for body in ({"status": "dead", "limit": "5"}, {"status": "dead", "dry_run": 1}):
        assert (await client.post("/api/events/replay", json=body)).status_code == 422


async def test_what_a_provider_insists_on_is_not_shown_as_our_own_words(
    client: httpx.AsyncClient, services: Services
) -> None:
    made = await client.post("/api/webhooks/endpoints", json={"provider": "slack", "secret": "a" * 32})
    number = await number_of(services.database, made.json()["webhook_id"])
    accepted = await accept(services.database, endpoint=number)

    event = (await client.get(f"/api/events/{shown(accepted)}")).json()

    assert (event["response_status"], event["response_body"]) == (None, None)


async def test_events_are_found_by_a_field_of_their_payload(
    client: httpx.AsyncClient, database: Database
) -> None:
    found, other = await accept(database), await accept(database)
    fields = [EventField(each.id, "data.id", value) for each, value in ((found, "42"), (other, "43"))]

    def index(connection: Connection) -> None:
        connection.execute(insert(event_fields), [asdict(each) for each in fields])

    await database.write(index)

    assert await listed(client, field="data.id:42") == [shown(found)]
    assert await listed(client, field="$.data.id:43") == [shown(other)]
    assert await listed(client, field="data.id:42", event_type="other") == []
    assert (await client.get("/api/events", params={"field": "data.id"})).status_code == 422
