from __future__ import annotations

from typing import Any

import httpx
import pytest

from kanca.api import dead_letters as routes
from kanca.domain.ids import DEAD_LETTER, EVENT, RUN, show_id
from kanca.domain.status import OutcomeStatus
from kanca.domain.task import DeadLetter, TaskKind
from kanca.storage import dead_letter_jobs
from kanca.storage.ports import Database
from kanca.workers.job_doer import JobDoer
from tests.api.conftest import Clock, Wakes
from tests.api.rows import accept, later_ids, number_of, shown, store, waiting
from tests.factories import a_dead_letter, an_attempt, an_outcome, new_event

DLQ = "/admin/dlq"


async def a_letter(database: Database, clock: Clock, **values: Any) -> DeadLetter:
    event = await accept(database, body=values.pop("body", b'{"id":1}'))
    letter = a_dead_letter(event, **{"id": later_ids.new(), "failed_at": clock.now} | values)
    outcome = an_outcome(event, status=OutcomeStatus.DEAD, reason=letter.code, ref=letter.id)
    await store(database, letter, outcome)
    clock.advance(seconds=1)
    return letter


def name(letter: DeadLetter) -> str:
    return show_id(DEAD_LETTER, letter.id)


async def test_letters_are_listed_oldest_first_with_the_count_of_all(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    letters = [await a_letter(database, clock) for _ in range(3)]

    first = (await client.get(DLQ, params={"limit": 2})).json()
    second = (await client.get(DLQ, params={"limit": 2, "cursor": first["next_cursor"]})).json()

    assert [item["id"] for item in first["items"] + second["items"]] == [name(letter) for letter in letters]
    assert (first["count"], second["count"], second["next_cursor"]) == (3, 3, None)


async def test_a_letter_shows_its_cause_and_its_payload(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    cause = b'{"code":"handler_error","message":"no way","traceback":"\\ud800"}'
    letter = await a_letter(database, clock, error=cause, code="handler_error", body=b'{"n":1e999}')
    run = later_ids.new()
    of_a_run = await a_letter(database, clock, kind=TaskKind.RUN, ref=run, body=b"\xff", error=b"?")

    one = await client.get(f"{DLQ}/{name(letter)}")
    other = (await client.get(f"{DLQ}/{name(of_a_run)}")).json()

    found = one.json()
    assert b'"payload":{"n":1e999},' in one.content
    assert (found["error"], found["code"], found["cause"]["traceback"]) == (
        "no way",
        "handler_error",
        "\ud800",
    )
    assert (found["attempts"], found["retry_count"], found["work"]) == (5, 4, "handler:h")
    assert (found["event_id"], found["run_id"]) == (show_id(EVENT, letter.ref), None)
    assert (other["payload"], other["body_base64"], other["run_id"]) == (None, "/w==", show_id(RUN, run))
    assert (other["error"], other["cause"]) == ("The cause cannot be read.", None)


async def test_a_retried_letter_s_work_is_in_the_queue_again(
    client: httpx.AsyncClient, database: Database, clock: Clock, wakes: Wakes
) -> None:
    letter = await a_letter(database, clock)
    event = f"/api/events/{show_id(EVENT, letter.ref)}"
    assert (await client.get(event)).json()["status"] == "dead"

    answer = await client.post(f"{DLQ}/{name(letter)}/retry")

    assert answer.json() == {"status": "retry_scheduled", "id": name(letter)}
    assert (await client.get(event)).json()["status"] == "pending"
    assert [task.kind for task in await waiting(database)] == [TaskKind.DISPATCH, TaskKind.CALL]
    assert wakes.count == 1
    again = await client.post(f"{DLQ}/{name(letter)}/retry")
    assert (again.status_code, again.json()["code"]) == (404, "dead_letter_not_found")


async def test_a_position_may_stand_for_an_id(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    letters = [await a_letter(database, clock) for _ in range(3)]

    assert (await client.get(f"{DLQ}/1")).json()["id"] == name(letters[1])
    assert (await client.post(f"{DLQ}/1/retry")).json()["id"] == name(letters[1])
    assert (await client.get(f"{DLQ}/1")).json()["id"] == name(letters[2])
    assert name(letters[0]) in (await client.delete(f"{DLQ}/0")).json()["message"]
    assert [item["id"] for item in (await client.get(DLQ)).json()["items"]] == [name(letters[2])]


async def test_many_are_retried_by_a_filter(
    client: httpx.AsyncClient, database: Database, clock: Clock, wakes: Wakes
) -> None:
    made = (await client.post("/api/webhooks/endpoints", json={})).json()
    number = await number_of(database, made["webhook_id"])
    early = clock.now
    await a_letter(database, clock, endpoint=number)
    await a_letter(database, clock, event_type="push")
    await a_letter(database, clock, code="worker_lost", tenant="acme")
    last = await a_letter(database, clock)

    async def retry(**request: Any) -> int:
        answer = await client.post(f"{DLQ}/retry", json=request)
        assert answer.json()["status"] == "retry_scheduled"
        return int(answer.json()["count"])

    assert await retry(until=early.isoformat()) == 0
    assert await retry(webhook_id=made["webhook_id"]) == 1
    assert await retry(event_type="push", code="worker_lost") == 0
    assert await retry(event_type="push") == 1
    assert await retry(limit=1) == 1
    assert [item["id"] for item in (await client.get(DLQ)).json()["items"]] == [name(last)]
    assert (await client.post(f"{DLQ}/retry")).json()["count"] == 1
    assert wakes.count > 0


async def test_letters_are_searched(client: httpx.AsyncClient, database: Database, clock: Clock) -> None:
    plain = await a_letter(database, clock)
    labelled = await a_letter(database, clock, tenant="acme", work="workflow:w", code="node_failed")

    for query in ({"tenant": "acme"}, {"work": "workflow:w"}, {"code": "node_failed"}):
        found = (await client.get(DLQ, params=query)).json()
        assert ([item["id"] for item in found["items"]], found["count"]) == ([name(labelled)], 1)
    by_event = (await client.get(DLQ, params={"event_id": show_id(EVENT, plain.ref)})).json()
    assert [item["id"] for item in by_event["items"]] == [name(plain)]


async def test_what_cannot_be_is_refused(client: httpx.AsyncClient) -> None:
    for query in ("limit=0", "cursor=!", "code=%00", "work=%00", "colour=red", "webhook_id=x", "since=x"):
        assert (await client.get(f"{DLQ}?{query}")).status_code == 422, query
    bad: list[Any] = [{"colour": "red"}, {"limit": 0}, {"code": "\u0000"}, []]
    for body in bad:
        assert (await client.post(f"{DLQ}/retry", json=body)).status_code == 422, body


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for letter in ("x", "0", "-1", "1" * 30, "٣", show_id(DEAD_LETTER, later_ids.new()), "%00"):
        for method, path in (("GET", ""), ("POST", "/retry"), ("DELETE", "")):
            answer = await client.request(method, f"{DLQ}/{letter}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "dead_letter_not_found"), letter


async def test_an_event_without_letters_has_nothing_to_retry(
    client: httpx.AsyncClient, database: Database
) -> None:
    event = await accept(database)

    answer = await client.post(f"{DLQ}/retry", json={"event_id": shown(event)})

    assert answer.json()["count"] == 0


async def test_letters_are_searched_by_kind_and_by_text_in_their_cause(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    timed_out = await a_letter(database, clock, error=b'{"code":"timeout","message":"Warehouse was Asleep"}')
    run = await a_letter(
        database,
        clock,
        kind=TaskKind.RUN,
        ref=later_ids.new(),
        work="workflow:orders",
        error=b'{"message":"\xc3\xa9"}',
    )
    sent = await a_letter(database, clock, kind=TaskKind.DELIVER, target=9, work="subscription:shop")

    async def found(**search: str) -> list[str]:
        return [item["id"] for item in (await client.get(DLQ, params=search)).json()["items"]]

    assert await found(text="warehouse was a") == [name(timed_out)]
    assert await found(text="%") == []
    assert await found(text="é") == [name(run)]
    assert await found(kind="handler") == [name(timed_out)]
    assert await found(kind="workflow") == await found(workflow_id="orders") == [name(run)]
    assert await found(kind="delivery") == await found(subscription_id="shop") == [name(sent)]
    both = await client.get(DLQ, params={"work": "handler:h", "workflow_id": "orders"})
    assert both.status_code == 422


async def test_a_letter_shows_the_attempts_of_its_work(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    letter = await a_letter(database, clock)
    event = new_event(id=letter.ref)
    first, second = (an_attempt(event, id=later_ids.new(), attempt_number=n) for n in (1, 2))
    other = an_attempt(event, work="handler:other")
    await store(database, second, other, first)

    found = (await client.get(f"{DLQ}/{name(letter)}")).json()

    assert [attempt["attempt_number"] for attempt in found["failed_attempts"]] == [1, 2]


async def test_a_dry_run_says_how_many_and_changes_nothing(
    client: httpx.AsyncClient, database: Database, clock: Clock, wakes: Wakes
) -> None:
    for code in ("a", "a", "b"):
        await a_letter(database, clock, code=code)

    retried = await client.post(f"{DLQ}/retry", json={"code": "a", "dry_run": True})
    purged = await client.post(f"{DLQ}/purge", json={"code": "b", "dry_run": True})

    assert retried.json() == {"status": "dry_run", "count": 2, "job_id": None}
    assert purged.json() == {"status": "dry_run", "count": 1, "job_id": None}
    assert (await client.get(DLQ)).json()["count"] == 3
    assert wakes.count == 0


async def test_letters_are_purged_by_what_they_have_in_common(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    kept, _ = [await a_letter(database, clock, code=code) for code in ("a", "b")]

    unsaid = await client.post(f"{DLQ}/purge", json={})
    purged = await client.post(f"{DLQ}/purge", json={"code": "b"})

    assert unsaid.status_code == 422
    assert purged.json() == {"status": "purged", "count": 1, "job_id": None}
    assert [item["id"] for item in (await client.get(DLQ)).json()["items"]] == [name(kept)]
    assert (await client.post(f"{DLQ}/purge", json={"all": True})).json()["count"] == 1


@pytest.mark.parametrize(("action", "counted"), [("retry", "retried"), ("purge", "purged")])
async def test_many_letters_are_left_to_a_job(
    client: httpx.AsyncClient,
    database: Database,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    counted: str,
) -> None:
    monkeypatch.setattr(routes, "AT_ONCE", 2)
    monkeypatch.setattr(dead_letter_jobs, "AT_ONCE", 2)
    for _ in range(5):
        await a_letter(database, clock, code="a")
    other = await a_letter(database, clock, code="b")

    answer = (await client.post(f"{DLQ}/{action}", json={"code": "a"})).json()
    clock.advance(seconds=1)
    died_again = await a_letter(database, clock, code="a")
    assert (answer["status"], answer["count"]) == (f"{action}_scheduled", 5)
    await JobDoer(database, database.waker()).run_once()

    job = (await client.get(f"/api/jobs/{answer['job_id']}")).json()
    assert (job["status"], job["counts"], job["total"]) == ("finished", {counted: 5}, 5)
    left = [item["id"] for item in (await client.get(DLQ)).json()["items"]]
    assert left == [name(other), name(died_again)]
