from __future__ import annotations

from typing import Any

import httpx
from structlog.testing import capture_logs

from kanca.domain.status import OutcomeStatus
from kanca.domain.task import TaskKind
from kanca.storage.ports import Database
from tests.api.conftest import Wakes
from tests.api.rows import accept, number_of, shown, store, waiting
from tests.factories import an_outcome


async def replay(client: httpx.AsyncClient, **request: Any) -> dict[str, Any]:
    answer = await client.post("/api/events/replay", json=request)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_replay_is_a_new_event_with_the_same_bytes(
    client: httpx.AsyncClient, database: Database, wakes: Wakes
) -> None:
    original = await accept(database, body=b'{"n": 1e999}', correlation_id="basket 7")

    with capture_logs() as logs:
        done = (await client.post(f"/api/events/{shown(original)}/replay")).json()
    again = (await client.post(f"/api/events/{done['event_id']}/replay")).json()

    assert done == {"status": "replayed", "event_id": done["event_id"], "replay_of": shown(original)}
    assert again["replay_of"] == shown(original)
    found = (await client.get(f"/api/events/{done['event_id']}")).json()
    assert (found["replay_of"], found["correlation_id"], found["status"]) == (
        shown(original),
        "basket 7",
        "pending",
    )
    assert (found["response_status"], found["response_body"]) == (None, None)
    assert (await client.get(f"/api/events/{done['event_id']}/body")).content == original.body
    assert [task.kind for task in await waiting(database)] == [TaskKind.DISPATCH] * 3
    assert wakes.count == 2
    assert logs[0]["action"] == "event.replayed"


async def test_replaying_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/api/events/evt_{'0' * 32}/replay")

    assert (answer.status_code, answer.json()["code"]) == (404, "event_not_found")


async def test_the_newest_that_fit_are_replayed_oldest_first_and_replays_are_not(
    client: httpx.AsyncClient, database: Database
) -> None:
    made = (await client.post("/api/webhooks/endpoints", json={})).json()
    number = await number_of(database, made["webhook_id"])
    await accept(database, type="other")
    fit = [await accept(database, endpoint=number) for _ in range(3)]
    for event in fit[1:]:
        await store(database, an_outcome(event, status=OutcomeStatus.DEAD))

    dead = {"webhook_id": made["webhook_id"], "status": "dead"}
    tried = await replay(client, **dead, dry_run=True)
    done = await replay(client, **dead)
    of_all = await replay(client, webhook_id=made["webhook_id"], limit=2)

    wanted = [shown(event) for event in fit[1:]]
    assert [item["replay_of"] for item in tried["items"]] == wanted
    assert (tried["replayed"], tried["items"][0]["event_id"]) == (0, None)
    assert [item["replay_of"] for item in done["items"]] == wanted
    assert (done["replayed"], done["has_more"]) == (2, False)
    assert [item["replay_of"] for item in of_all["items"]] == wanted
    assert of_all["has_more"] is True
    assert len(await waiting(database)) == 4 + 2 + 2


async def test_more_than_one_portion_can_be_replayed(client: httpx.AsyncClient, database: Database) -> None:
    for _ in range(120):
        await accept(database, type="many")

    done = await replay(client, event_type="many", limit=110)

    assert (done["replayed"], done["has_more"]) == (110, True)
    assert len({item["event_id"] for item in done["items"]}) == 110


async def test_nothing_is_replayed_without_a_condition(client: httpx.AsyncClient, database: Database) -> None:
    await accept(database)
    for request in ({}, {"limit": 5}, {"dry_run": False}):
        answer = await client.post("/api/events/replay", json=request)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    for bad in (
        {"limit": 1001, "event_type": "x"},
        {"event_type": "\u0000"},
        {"colour": "red"},
        {"webhook_id": "x"},
    ):
        answer = await client.post("/api/events/replay", json=bad)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert len(await waiting(database)) == 1
