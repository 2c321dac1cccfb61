from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Connection, select

from kanca.api.app import create_api
from kanca.api.services import Services
from kanca.domain.ids import EVENT, RUN, show_id
from kanca.domain.resume_token import RESUME_PATH, Decision, ResumeToken, make_token, read_token
from kanca.domain.status import EventStatus, RunStatus
from kanca.domain.wait import WaitAddress
from kanca.storage import workflows
from kanca.storage.ports import Database
from kanca.storage.tables import early_events
from kanca.workflows.values import read_json
from tests.api.conftest import speaking_to
from tests.api.living import KEYS, WAIT, Living, edge, node
from tests.api.rows import later_ids, store
from tests.api.test_runs import a_run, add_waits, an_open_wait

APPROVAL = [node("ask", "Approval", title="Really?")], [edge("start", "ask")]


def waiting(**config: Any) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    return [node("paid", "WebhookTrigger", **KEYS | config)], [edge("start", "paid")]


async def waiting_run(living: Living, *, data: Any) -> str:
    (run_id,) = await living.begin(data)
    await living.until(run_id, RunStatus.WAITING)
    return run_id


async def test_a_person_resumes_a_run_and_so_uses_up_its_address(living: Living) -> None:
    await living.publish(*waiting())
    await living.site.start()
    run_id = await waiting_run(living, data={"order": "A"})

    first = await living.ask("POST", f"runs/{run_id}/waits/paid/resume", body={"data": {"paid": 1}})

    assert first["status"] == "accepted"
    ended = await living.until(run_id, RunStatus.SUCCEEDED)
    assert read_json(ended.output or b"") == {"paid": 1}
    event = await living.ask("GET", f"events/{first['event_id']}")
    assert event["event_type"] == "run.resumed"
    over = await living.refused("POST", f"runs/{run_id}/waits/paid/resume")
    assert over == (409, "wait_over")


async def test_what_a_person_answers_has_the_label_of_the_run_s_tenant(
    client: httpx.AsyncClient, database: Database
) -> None:
    run = a_run(status=RunStatus.WAITING)
    before = run.started_at - timedelta(days=1)
    await database.write(workflows.create, run.workflow_id, "acme", "W", "{}", before, set())
    await store(database, run)
    await add_waits(database, an_open_wait(run, "paid"))

    answer = await client.post(f"/api/runs/{show_id(RUN, run.id)}/waits/paid/resume")

    event = (await client.get(f"/api/events/{answer.json()['event_id']}")).json()
    assert event["tenant"] == "acme"


async def test_a_person_decides_with_a_comment(living: Living) -> None:
    await living.publish(*APPROVAL)
    await living.site.start()
    run_id = await waiting_run(living, data={})
    path = f"runs/{run_id}/waits/ask/resume"

    assert await living.refused("POST", path) == (422, "invalid_input")
    assert await living.refused("POST", path, {"decision": "maybe"}) == (422, "invalid_request")
    await living.ask("POST", path, body={"decision": "reject", "comment": "Too much"})

    ended = await living.until(run_id, RunStatus.SUCCEEDED)
    output = read_json(ended.output or b"")
    assert (output["decision"], output["comment"]) == ("rejected", "Too much")


async def test_who_comes_second_is_told_so(client: httpx.AsyncClient, database: Database) -> None:
    run = a_run(status=RunStatus.WAITING)
    await store(database, run)
    await add_waits(database, an_open_wait(run, "paid"))
    path = f"/api/runs/{show_id(RUN, run.id)}/waits/paid/resume"

    first, second = [(await client.post(path)).json() for _ in range(2)]

    assert (first["status"], second["status"]) == ("accepted", "duplicate")
    assert first["event_id"] == second["event_id"]


async def test_what_cannot_be_resumed_is_refused(client: httpx.AsyncClient, database: Database) -> None:
    run = a_run(status=RunStatus.WAITING)
    await store(database, run)
    in_loop = [
        an_open_wait(run, "each", id=WaitAddress(run.id, "each", number).wait_id, iteration=number)
        for number in (1, 2)
    ]
    sub = an_open_wait(run, "sub", child_run_id=later_ids.new())
    await add_waits(database, an_open_wait(run, "paid"), *in_loop, sub)
    shown = show_id(RUN, run.id)

    async def refused(path: str, **body: Any) -> tuple[int, str]:
        answer = await client.post(f"/api/runs/{path}", json=body)
        return answer.status_code, answer.json()["code"]

    assert await refused(f"{shown}/waits/other/resume") == (404, "wait_not_found")
    assert await refused(f"{show_id(RUN, later_ids.new())}/waits/paid/resume") == (404, "run_not_found")
    assert await refused(f"{shown}/waits/each/resume") == (422, "invalid_input")
    assert await refused(f"{shown}/waits/sub/resume") == (422, "invalid_input")
    assert await refused(f"{shown}/waits/paid/resume", decision="approve") == (422, "invalid_input")
    unknown = show_id(EVENT, later_ids.new())
    assert await refused(f"{shown}/waits/paid/apply", event_id=unknown) == (404, "event_not_found")
    assert (await client.post(f"/api/runs/{shown}/waits/each/resume", json={"iteration": 2})).is_success


async def test_an_ambiguous_event_is_applied_to_one_of_the_runs(living: Living) -> None:
    await living.publish(*waiting())
    await living.site.start()
    one, other = [await waiting_run(living, data={"order": "same"}) for _ in range(2)]
    (event,) = await living.site.accept(endpoint=WAIT, data={"order": "same", "n": 1})
    await living.site.ended(event)
    shown = show_id(EVENT, event)

    await living.ask("POST", f"runs/{other}/waits/paid/apply", body={"event_id": shown})

    ended = await living.until(other, RunStatus.SUCCEEDED)
    assert read_json(ended.output or b"")["n"] == 1
    assert not await living.site.letters()
    (outcome,) = await living.site.outcomes(event)
    assert (outcome.status, outcome.ref, outcome.reason) == ("succeeded", ended.id, None)
    again = await living.refused("POST", f"runs/{one}/waits/paid/apply", {"event_id": shown})
    assert again == (409, "event_in_use")


async def test_a_late_event_is_applied_to_a_run_that_waits(living: Living) -> None:
    await living.publish(*waiting(early_for=0))
    await living.site.start()
    (event,) = await living.site.accept(endpoint=WAIT, data={"order": "typo", "n": 2})
    (outcome,) = await living.site.ended(event)
    assert outcome.reason == "no_wait"
    run_id = await waiting_run(living, data={"order": "A"})

    body = {"event_id": show_id(EVENT, event)}
    await living.ask("POST", f"runs/{run_id}/waits/paid/apply", body=body)

    ended = await living.until(run_id, RunStatus.SUCCEEDED)
    assert read_json(ended.output or b"")["n"] == 2
    assert await living.site.status(event) is EventStatus.SUCCEEDED


async def test_an_event_that_is_kept_is_applied_to_another_run(living: Living) -> None:
    await living.publish(*waiting())
    await living.site.start()
    (event,) = await living.site.accept(endpoint=WAIT, data={"order": "typo", "n": 3})

    def kept(connection: Connection) -> list[UUID]:
        return list(connection.scalars(select(early_events.c.event_id)))

    async def is_kept() -> bool:
        return await living.site.database.read(kept) == [event]

    await living.site.until(is_kept)
    [listed] = (await living.ask("GET", "early-events?workflow_id=w"))["items"]
    assert (listed["event_id"], listed["node_id"], listed["key"]) == (show_id(EVENT, event), "paid", "typo")
    run_id = await waiting_run(living, data={"order": "A"})

    await living.ask("POST", f"runs/{run_id}/waits/paid/apply", body={"event_id": listed["event_id"]})

    await living.until(run_id, RunStatus.SUCCEEDED)
    (outcome,) = await living.site.ended(event)
    assert (outcome.status, show_id(RUN, outcome.ref or event)) == ("succeeded", run_id)
    assert await living.site.database.read(kept) == []


async def test_an_event_that_has_started_a_run_cannot_resume_one(living: Living) -> None:
    await living.publish(*waiting())
    await living.site.start()
    one, other = [await waiting_run(living, data={"order": order}) for order in "AB"]
    started = (await living.ask("GET", f"runs/{one}"))["event_id"]
    await living.ask("POST", f"runs/{one}/cancel")
    await living.until(one, RunStatus.CANCELLED)

    refused = await living.refused("POST", f"runs/{other}/waits/paid/apply", {"event_id": started})

    assert refused == (409, "event_in_use")


async def test_resume_addresses_are_revealed(services: Services, database: Database) -> None:
    keys = [b"k" * 32]
    run = a_run(status=RunStatus.WAITING)
    await store(database, run)
    second = WaitAddress(run.id, "ask", generation=1)
    await add_waits(
        database, an_open_wait(run, "paid"), an_open_wait(run, "ask", id=second.wait_id, rule="@approval")
    )

    def address(of: WaitAddress, until: datetime, decision: str | None) -> str:
        token = ResumeToken(of, until, Decision(decision) if decision else None)
        return f"https://hooks.example.com{RESUME_PATH}{make_token(keys, token)}"

    path = f"/api/runs/{show_id(RUN, run.id)}/waits"
    async with speaking_to(create_api(services)) as client:
        answer = await client.get(f"{path}/paid/urls")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_public_url")
    async with speaking_to(create_api(replace(services, resume_url=address))) as client:
        paid = (await client.get(f"{path}/paid/urls")).json()
        ask = (await client.get(f"{path}/ask/urls")).json()

    assert (paid["approve"], paid["reject"]) == (None, None)
    before_its_end = datetime(2026, 5, 30, tzinfo=UTC)
    said = [
        read_token(keys, url.rpartition("/")[2], before_its_end)
        for url in (paid["resume"], ask["approve"], ask["reject"])
    ]
    assert [token.decision for token in said] == [None, "approve", "reject"]
    assert [token.address for token in said] == [WaitAddress(run.id, "paid"), second, second]
