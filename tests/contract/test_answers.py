"""What runs answered, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert

from kanca.domain.ids import uuid7_int
from kanca.domain.status import OutcomeStatus
from kanca.ingest.store import DatabaseStore
from kanca.ingest.waiting_room import WaitingRoom
from kanca.storage import answers
from kanca.storage.answers import StoredAnswer
from kanca.storage.ports import Database
from kanca.storage.secret_box import SecretBox
from kanca.storage.tables import answers as answers_table
from kanca.storage.tables import outcomes
from tests.factories import an_outcome, ids, new_event

NOW = datetime.now(UTC)
BOX = SecretBox(["a-key-of-sixteen-or-more"])


def _answer(
    connection: Connection, event_id: UUID, headers: Mapping[str, str] = {}, body: bytes = b""
) -> None:
    values: dict[str, Any] = {"event_id": event_id, "status": 201, "body": body, "created_at": NOW}
    connection.execute(insert(answers_table).values(headers=json.dumps(headers).encode(), **values))


def _end(connection: Connection, event_id: UUID, work: str, status: OutcomeStatus, works: int | None) -> None:
    outcome = an_outcome(new_event(id=event_id), work=work, status=status, works=works)
    connection.execute(insert(outcomes).values(**asdict(outcome)))


async def test_answers_are_read_by_event(database: Database) -> None:
    one, other, silent = ids.new(), ids.new(), ids.new()
    await database.write(_answer, one, {"X-A": "1", "Content-Type": "text/plain"}, b"\x00\xff")
    await database.write(_answer, other)
    assert await database.read(answers.read, [one, silent]) == {
        one: StoredAnswer(201, (("X-A", "1"), ("Content-Type", "text/plain")), b"\x00\xff")
    }
    assert await database.read(answers.read, []) == {}


async def test_old_answers_are_dropped_some_at_a_time(database: Database) -> None:
    def id_of(days_ago: int) -> UUID:
        moment = NOW - timedelta(days=days_ago)
        return UUID(int=uuid7_int(int(moment.timestamp() * 1000), days_ago))

    kept, *old = [id_of(days) for days in (1, 5, 6, 7)]
    for event_id in (kept, *old):
        await database.write(_answer, event_id)
    before = NOW - timedelta(days=3)
    dropped = [await database.write(answers.drop_before, before, 2) for _ in range(3)]
    assert dropped == [2, 1, 0]
    assert (await database.read(answers.read, [kept, *old])).keys() == {kept}


@pytest.mark.parametrize(
    ("ended", "end"),
    [
        ([], None),
        ([("workflow:w", OutcomeStatus.SUCCEEDED, 1)], OutcomeStatus.SUCCEEDED),
        ([("workflow:w", OutcomeStatus.DEAD, 1)], OutcomeStatus.DEAD),
        ([("dispatch", OutcomeStatus.SKIPPED, 0)], OutcomeStatus.SKIPPED),
        ([("dispatch", OutcomeStatus.EXPANDED, 2)], None),
        # A handler of the same event says nothing of the run.
        ([("dispatch", OutcomeStatus.EXPANDED, 2), ("handler:h", OutcomeStatus.DEAD, None)], None),
        (
            [
                ("dispatch", OutcomeStatus.EXPANDED, 3),
                ("handler:h", OutcomeStatus.DEAD, None),
                ("workflow:w", OutcomeStatus.SUCCEEDED, None),
            ],
            OutcomeStatus.SUCCEEDED,
        ),
    ],
)
async def test_the_end_of_a_run_is_known_by_its_outcome(
    database: Database, ended: list[tuple[str, OutcomeStatus, int | None]], end: OutcomeStatus | None
) -> None:
    event_id = ids.new()
    for outcome in ended:
        await database.write(_end, event_id, *outcome)
    assert await database.read(answers.ends, [event_id]) == ({} if end is None else {event_id: end})


async def test_who_waits_is_told_what_is_stored(database: Database) -> None:
    store = DatabaseStore(database, BOX, None, "gateway-1")
    room = WaitingRoom(store.runs_became)

    async def stays() -> None:
        await asyncio.Event().wait()

    answered, failed = ids.new(), ids.new()
    waiting = [asyncio.create_task(room.wait(each, 30, stays)) for each in (answered, failed)]
    # An answer counts whatever becomes of its run.
    await database.write(_answer, answered, {}, b"hello")
    await database.write(_end, answered, "workflow:w", OutcomeStatus.DEAD, 1)
    await database.write(_end, failed, "workflow:w", OutcomeStatus.DEAD, 1)
    assert await asyncio.gather(*waiting) == [StoredAnswer(201, (), b"hello"), OutcomeStatus.DEAD]
    await room.close()
