"""Endpoints that hold their senders until the run has answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from kanca.domain.status import EventStatus, OutcomeStatus
from kanca.ingest.answers import Original
from kanca.storage.answers import StoredAnswer
from tests.ingest.site import BEARER, ENVELOPE, NOON, PATH, Reply, Site, endpoint, site

ANSWER = StoredAnswer(409, (("Content-Type", "application/json"), ("X-Order", "7")), b'{"taken": true}')


def holding(wait: float = 30, **config: Any) -> Site:
    return site(replace(endpoint(response_wait=wait, **config), workflow_id="orders"))


async def held(here: Site) -> tuple[asyncio.Task[Reply], UUID]:
    """A request whose sender is held, and its event."""
    posting = asyncio.create_task(here.post(ENVELOPE, BEARER))
    await here.store.looked_for_answers.wait()
    return posting, here.event.id


async def test_the_sender_gets_what_the_run_answered() -> None:
    here = holding()
    posting, event_id = await held(here)
    assert not posting.done()
    here.store.ended[event_id] = ANSWER
    reply = await posting
    assert (reply.status, reply.json()) == (409, {"taken": True})
    assert (reply.headers["x-order"], reply.headers["content-type"]) == ("7", "application/json")
    assert reply.headers["content-length"] == str(len(ANSWER.body))


async def test_headers_of_the_connection_and_of_browsers_are_left_out_of_an_answer() -> None:
    here = holding()
    posting, event_id = await held(here)
    names = ["Set-Cookie", "Transfer-Encoding", "Content-Length", "Access-Control-Allow-Origin", "Bad Name"]
    headers = tuple((name, "9") for name in names)
    here.store.ended[event_id] = StoredAnswer(200, (*headers, ("X-Line", "a\r\nb")), b"ok")
    reply = await posting
    assert reply.headers.keys() == {
        "content-length",
        "content-type",
        "x-content-type-options",
        "content-security-policy",
    }
    assert reply.headers["content-length"] == "2"


@pytest.mark.parametrize(("status", "length"), [(204, None), (205, "0"), (304, None)])
async def test_an_answer_without_a_body_has_none(status: int, length: str | None) -> None:
    here = holding()
    posting, event_id = await held(here)
    here.store.ended[event_id] = StoredAnswer(status, (), b"something")
    reply = await posting
    assert (reply.status, reply.body, reply.headers.get("content-length")) == (status, b"", length)


@pytest.mark.parametrize("ended", [OutcomeStatus.SUCCEEDED, OutcomeStatus.SKIPPED])
async def test_a_run_that_ends_without_an_answer_gives_the_usual_one(ended: OutcomeStatus) -> None:
    here = holding()
    posting, event_id = await held(here)
    here.store.ended[event_id] = ended
    reply = await posting
    assert (reply.status, reply.json()["status"]) == (200, "accepted")
    assert reply.json()["event_id"] == f"evt_{event_id.hex}"


async def test_a_failed_run_is_a_problem_without_its_cause() -> None:
    here = holding()
    posting, event_id = await held(here)
    here.store.ended[event_id] = OutcomeStatus.DEAD
    reply = await posting
    assert (reply.status, reply.code) == (500, "run_failed")
    await here.ingest.stop(timedelta(seconds=1))
    assert here.store.rejected == []


@pytest.mark.parametrize("status", [202, 504])
async def test_after_the_wait_the_sender_is_told_that_the_event_was_accepted(status: int) -> None:
    here = holding(0.01, response_timeout_status=status)
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.json()["status"]) == (status, "accepted")
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["content-type"] == "application/json"


async def test_a_timeout_status_without_a_body_has_none() -> None:
    reply = await holding(0.01, response_timeout_status=204).post(ENVELOPE, BEARER)
    assert (reply.status, reply.body) == (204, b"")
    assert not {"content-length", "content-type"} & reply.headers.keys()


async def test_an_empty_answer_of_the_endpoints_own_has_a_length_under_another_status() -> None:
    reply = await holding(0.01, answer={"status": 204}).post(ENVELOPE, BEARER)
    assert (reply.status, reply.body, reply.headers["content-length"]) == (202, b"", "0")


async def test_a_duplicate_gets_the_answer_that_its_original_got() -> None:
    here = holding()
    posting, event_id = await held(here)
    here.store.ended[event_id] = ANSWER
    await posting
    again = await here.post(ENVELOPE, BEARER)
    assert (again.status, again.json()) == (409, {"taken": True})
    assert list(here.accepting.events) == [event_id]


async def test_a_duplicate_of_one_that_still_runs_waits_too() -> None:
    here = holding()
    posting, event_id = await held(here)
    here.store.looked_for_answers.clear()
    again = asyncio.create_task(here.post(ENVELOPE, BEARER))
    await here.store.looked_for_answers.wait()
    assert not posting.done()
    here.store.ended[event_id] = ANSWER
    assert [(await each).status for each in (posting, again)] == [409, 409]


async def test_a_duplicate_of_one_that_ended_without_an_answer_is_told_so() -> None:
    here = holding()
    posting, event_id = await held(here)
    here.store.ended[event_id] = OutcomeStatus.SUCCEEDED
    await posting
    here.store.became[event_id] = Original(event_id, "c", NOON, EventStatus.SUCCEEDED, NOON, b"42")
    again = await here.post(ENVELOPE, BEARER)
    assert (again.status, again.json()["status"], again.json()["result"]) == (200, "duplicate", 42)


async def test_stopping_answers_those_who_are_held_at_once() -> None:
    here = holding()
    posting, event_id = await held(here)
    await here.ingest.stop(timedelta(seconds=1))
    reply = await posting
    assert (reply.status, reply.json()["event_id"]) == (202, f"evt_{event_id.hex}")


async def test_a_client_that_leaves_is_not_waited_for() -> None:
    here = holding()
    messages: Sequence[dict[str, Any]] = (
        {"type": "http.request", "body": b'{"event_type": "order.created"}'},
        {"type": "http.disconnect"},
    )
    reply = await here.request("POST", PATH, messages, BEARER)
    assert reply.status == 0
    assert len(here.accepting.events) == 1


async def test_an_endpoint_without_a_workflow_holds_nobody() -> None:
    here = site(endpoint(response_wait=30))
    assert (await here.post(ENVELOPE, BEARER)).status == 200
    assert here.store.looked_for == []


async def test_the_time_of_an_answer_does_not_count_the_wait() -> None:
    here = holding(0.5)
    await here.post(ENVELOPE, BEARER)
    await here.ingest.stop(timedelta(seconds=1))
    assert sum(each.response_us for each in here.store.counted) < 400_000
