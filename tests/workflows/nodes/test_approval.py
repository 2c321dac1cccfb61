from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from kanca.domain.wait import WaitAddress
from kanca.testing import FakeHttp
from kanca.workflows.surroundings import ResumeUrl
from tests.workflows.acting import Play, graph, node, problems

RECEIVER = "https://chat.example.com/hook"


def url(address: WaitAddress, _until: datetime, decision: str | None) -> str:
    return f"https://k/{address.node_id}/{decision}"


def asking(http: FakeHttp | None = None, resume_url: ResumeUrl | None = url, **config: Any) -> Play:
    values = graph(node("ask", "Approval", **{"title": "Pay?"} | config), edges="start>ask")
    return Play(values, http=http, resume_url=resume_url)


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        ({"title": "x"}, set()),
        ({}, {"missing_key"}),
        ({"title": "x", "notify_url": "chat.example.com"}, {"bad_config"}),
        ({"title": "x", "notify_url": "ftp://chat.example.com"}, {"bad_config"}),
        ({"title": "x", "notify_url": "=event.data.url"}, set()),
        ({"title": "x", "wait": 0}, {"bad_config"}),
        ({"title": "=1 +"}, {"bad_expression"}),
        ({"title": "x", "who": "me"}, {"unknown_key"}),
    ],
)
def test_what_can_be_wrong_is_said_when_it_is_saved(config: dict[str, Any], codes: set[str]) -> None:
    assert problems("Approval", **config) == codes


@pytest.mark.parametrize(("said", "port"), [("approve", "approved"), ("reject", "rejected")])
async def test_it_is_left_as_it_was_decided(said: str, port: str) -> None:
    play = asking()
    await play.go_on()
    play.come("ask", json.dumps({"decision": said, "comment": "so be it", "by": "ann", "other": 1}))
    await play.finish()
    step = play.store.step("ask")
    assert step.port == port
    assert play.output == {
        "decision": port,
        "comment": "so be it",
        "by": "ann",
        "at": play.event.received_at.isoformat(),
        "input": {"total": 150},
    }


async def test_the_address_decides_whatever_the_body_says() -> None:
    play = asking()
    await play.go_on()
    event = play.world.event(
        b'{"decision":"approve"}', request=b'{"headers":[],"resume":{"decision":"reject"}}'
    )
    play.world.desk.claim("ask", event)
    await play.finish()
    assert play.store.step("ask").port == "rejected"


async def test_nobody_decides_and_it_is_left_by_its_port_timeout() -> None:
    play = asking(wait=60)
    await play.finish()
    assert (play.store.step("ask").port, play.output) == ("timeout", {"input": {"total": 150}})


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"decision":"perhaps"}', b'{"decision":{"a":1}}', b'{"decision":[]}']
)
async def test_an_answer_that_decides_nothing_fails_the_node(body: bytes) -> None:
    play = asking()
    await play.go_on()
    play.come("ask", body.decode())
    await play.finish()
    assert (play.status, play.error["code"]) == ("failed", "no_decision")


async def test_a_person_is_asked_once_with_the_addresses_to_decide() -> None:
    http = FakeHttp().answer("POST", RECEIVER, 204)
    play = asking(http, notify_url=RECEIVER, details={"total": "=input.total"})
    await play.go_on()
    play.come("ask", '{"decision":"approve"}')
    await play.finish()
    (request,) = http.requests
    asked = request.json
    assert (asked["type"], asked["title"], asked["details"]) == ("approval.requested", "Pay?", {"total": 150})
    assert (asked["approve_url"], asked["reject_url"]) == ("https://k/ask/approve", "https://k/ask/reject")
    assert (asked["node_id"], asked["run_id"][:4]) == ("ask", "run_")


@pytest.mark.parametrize(("status", "attempts"), [(503, 2), (403, 1)])
async def test_a_receiver_that_does_not_take_it_is_asked_again_where_that_may_help(
    status: int, attempts: int
) -> None:
    http = FakeHttp().answer("POST", RECEIVER, status)
    play = asking(http, notify_url=RECEIVER, retry={"max_retries": 2})
    await play.finish()
    assert (play.error["code"], len(http.requests), play.waits()) == ("http_status", attempts, {})


async def test_without_a_public_address_nobody_is_asked() -> None:
    play = asking(resume_url=None, notify_url=RECEIVER, retry={"max_retries": 1})
    await play.finish()
    assert play.error["code"] == "no_public_url"


async def test_handlers_are_asked_before_it_waits_and_get_no_address() -> None:
    play = asking(notify_handlers=True, details="=event.data")

    await play.go_on()

    [event] = [event for completion in play.store.history for event in completion.records.events]
    told = json.loads(event.body)
    assert (event.type, told["event_type"]) == ("approval.requested", "approval.requested")
    assert set(told["data"]) == {
        "title",
        "details",
        "run_id",
        "node_id",
        "iteration",
        "generation",
        "expires_at",
    }
    assert b"https://k/" not in event.body
    assert play.waits() == {"ask": "open"}


async def test_no_expression_is_given_an_address_that_leaves_open_what_was_decided() -> None:
    values = graph(
        node("say", "Transform", value="='ask' in (has(run.resume_urls) ? run.resume_urls : {})"),
        node("ask", "Approval", title="Pay?"),
        edges="start>say say>ask",
    )
    play = Play(values, resume_url=url)

    await play.go_on()

    assert play.store.step("say").output == b"false"
