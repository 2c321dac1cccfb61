"""What senders see when nothing can be accepted."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from kanca.errors import CommitTimeout, DatabaseUnavailable, InvalidInput
from kanca.ingest.settings import IngestSettings
from tests.ingest.site import BEARER, ENVELOPE, site


@pytest.mark.parametrize("code", ["backlog_full", "disk_full"])
async def test_behind_a_closed_gate_nothing_is_accepted(code: str) -> None:
    here = site(gates=[lambda: None, lambda: code])
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.code) == (503, code)
    assert reply.headers["retry-after"] == "120"
    assert here.accepting.events == {}
    assert (await here.post(ENVELOPE)).status == 401


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (DatabaseUnavailable(), 503, "database_unavailable"),
        (CommitTimeout(), 503, "commit_timeout"),
        (InvalidInput("no"), 400, "not_storable"),
    ],
)
async def test_a_failed_commit_is_answered_by_its_cause(failure: Exception, status: int, code: str) -> None:
    here = site()
    here.accepting.failure = failure
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.code) == (status, code)
    assert ("retry-after" in reply.headers) == (status == 503)


async def test_an_unknown_failure_says_nothing_of_itself() -> None:
    here = site()
    here.accepting.failure = RuntimeError("the password is hunter2")
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.code) == (500, "internal_error")
    assert b"hunter2" not in reply.body


async def test_an_event_that_cannot_be_stored_fails_alone() -> None:
    here = site()
    here.accepting.refused_types = {"bad.one"}
    bodies = [{"event_type": event_type} for event_type in ("good.one", "bad.one", "good.two")]
    replies = await asyncio.gather(*[here.post(body, BEARER) for body in bodies])
    assert [reply.status for reply in replies] == [200, 400, 200]
    assert replies[1].code == "not_storable"


async def test_a_full_commit_queue_is_answered_429() -> None:
    here = site(settings=IngestSettings(commit_queue_max=1))
    here.accepting.gate.clear()
    under_way = asyncio.create_task(here.post(ENVELOPE | {"event_id": "1"}, BEARER))
    await here.accepting.asked.wait()
    waiting = asyncio.create_task(here.post(ENVELOPE | {"event_id": "2"}, BEARER))
    await asyncio.sleep(0)  # lets it run up to its wait for a commit
    reply = await here.post(ENVELOPE | {"event_id": "3"}, BEARER)
    assert (reply.status, reply.code) == (429, "commit_queue_full")
    assert reply.headers["retry-after"] == "60"
    here.accepting.gate.set()
    assert [(await task).status for task in (under_way, waiting)] == [200, 200]


async def test_a_database_that_hangs_is_answered_in_time() -> None:
    here = site(settings=IngestSettings(commit_timeout=timedelta(milliseconds=20)))
    here.accepting.gate.clear()
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.code) == (503, "commit_timeout")


async def test_while_the_database_is_away_known_endpoints_go_on_and_others_are_unavailable() -> None:
    here = site()
    assert (await here.post(ENVELOPE, BEARER)).status == 200
    here.store.is_away = True
    assert (await here.post(ENVELOPE | {"event_id": "2"}, BEARER)).status == 200
    reply = await here.post(ENVELOPE, BEARER, path="/webhooks/orders")
    assert (reply.status, reply.code) == (503, "database_unavailable")
    here.store.is_away = False
    assert (await here.post(ENVELOPE, BEARER, path="/webhooks/orders")).status == 200


async def test_a_duplicate_whose_original_cannot_be_read_is_to_be_sent_again() -> None:
    here = site()
    assert (await here.post(ENVELOPE, BEARER)).status == 200
    here.store.is_away = True
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.code) == (503, "database_unavailable")


async def test_a_stopping_server_takes_nothing_and_finishes_what_it_has() -> None:
    here = site()
    await here.ingest.start()
    here.accepting.gate.clear()
    under_way = asyncio.create_task(here.post(ENVELOPE, BEARER))
    await here.accepting.asked.wait()
    stopping = asyncio.create_task(here.ingest.stop(timedelta(seconds=5)))
    await asyncio.sleep(0)  # lets it close the door
    reply = await here.post(ENVELOPE | {"event_id": "2"}, BEARER)
    assert (reply.status, reply.code) == (503, "shutting_down")
    assert "retry-after" in reply.headers
    here.accepting.gate.set()
    assert (await under_way).status == 200
    await stopping
    assert sum(counted.accepted for counted in here.store.counted) == 1
