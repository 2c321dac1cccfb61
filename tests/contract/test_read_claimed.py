from __future__ import annotations

from uuid import uuid4

from kanca.domain.event import as_stored
from kanca.storage.ports import Database
from kanca.storage.versions import bump_version
from tests.factories import new_event


async def test_events_of_claimed_tasks_are_read_as_they_were_stored(database: Database) -> None:
    stored = [new_event(body=b"\x00\xff", source_event_id="src", replay_of=uuid4()), new_event()]
    await database.accepting.append(stored)
    _, found = await database.queue.read_claimed({event.id for event in stored} | {uuid4()})
    assert found == {event.id: as_stored(event) for event in stored}


async def test_a_thousand_events_are_read_at_once(database: Database) -> None:
    stored = [new_event() for _ in range(1100)]
    await database.accepting.append(stored)
    _, found = await database.queue.read_claimed([event.id for event in stored])
    assert found.keys() == {event.id for event in stored}


async def test_what_changed_is_told_with_the_events(database: Database) -> None:
    seen = []
    for subject in ("handlers", "endpoints", "handlers"):
        await database.write(bump_version, subject)
        versions, events = await database.queue.read_claimed([])
        assert events == {}
        seen.append(versions)
    assert len(set(seen)) == 3
    assert (await database.queue.read_claimed([]))[0] == seen[-1]
