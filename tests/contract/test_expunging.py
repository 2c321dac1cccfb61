from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import update

from kanca.domain.expunged import GONE, expunged_at
from kanca.domain.ids import derived_id
from kanca.domain.status import EventStatus, RunStatus
from kanca.domain.task import NewTask, TaskKind
from kanca.errors import EventGone, PayloadExpunged
from kanca.storage import dead_letters, event_list, events, runs
from kanca.storage.expunging import Expunged, expunge, expunged_among
from kanca.storage.ports import Database
from kanca.storage.tables import runs as run_rows
from tests.api.rows import store
from tests.factories import a_dead_letter, new_event
from tests.planted import MARKER, execute, places_of_marker, plant, resume

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def run_of(event_id: UUID) -> UUID:
    return derived_id(event_id, "workflow:w")


async def test_what_an_event_said_is_nowhere_in_the_database_any_more(database: Database) -> None:
    event = await plant(database)
    planted = await places_of_marker(database)
    assert {"events.body", "events.request", "dead_letters.body", "steps.output", "answers.body"} < planted

    done = await database.write(expunge, [event.id], NOW)
    await database.wipe()

    assert done == Expunged(frozenset({event.id}), frozenset())
    assert await places_of_marker(database) == set()


async def test_the_record_stays_with_what_became_of_the_event(database: Database) -> None:
    event = await plant(database)
    before = await database.read(event_list.get, event.id)

    await database.write(expunge, [event.id], NOW)

    after = await database.read(event_list.get, event.id)
    assert before is not None
    assert after is not None
    assert (after.status, after.event.type, after.event.received_at) == (
        EventStatus.DEAD,
        event.type,
        before.event.received_at,
    )
    assert (after.event.body, expunged_at(after.event.request)) == (b"", NOW)
    assert [attempt.code for attempt in after.attempts] == [attempt.code for attempt in before.attempts]
    assert await database.read(expunged_among, [event.id]) == {event.id}


async def test_others_keep_what_they_said(database: Database) -> None:
    gone, kept = await plant(database), await plant(database)
    before = await places_of_marker(database)

    await database.write(expunge, [gone.id], NOW)

    assert before - {"kanca.db-wal"} <= await places_of_marker(database)
    found = await database.read(events.get, kept.id)
    assert found is not None
    assert MARKER.encode() in found.body


async def test_expunging_again_changes_nothing(database: Database) -> None:
    event = await plant(database)
    await database.write(expunge, [event.id], NOW)
    later = NOW.replace(hour=13)

    assert (await database.write(expunge, [event.id], later)).gone == {event.id}

    found = await database.read(events.get, event.id)
    assert found is not None
    assert expunged_at(found.request) == NOW


async def test_a_run_that_an_event_took_part_in_loses_all_it_was_told(database: Database) -> None:
    starter, resumer = await plant(database), await plant(database)
    await resume(database, resumer, run_of(starter.id))

    await database.write(expunge, [resumer.id], NOW)

    run = await database.read(runs.get, run_of(starter.id))
    [step] = await database.read(runs.steps_of, run_of(starter.id))
    assert run is not None
    assert (run.input, run.output, step.input, step.output, step.error) == (GONE, GONE, GONE, GONE, GONE)


async def test_an_event_whose_work_goes_on_keeps_its_payload(database: Database) -> None:
    event = await plant(database, is_open=True)
    before = await places_of_marker(database)

    done = await database.write(expunge, [event.id], NOW)

    assert done == Expunged(frozenset(), frozenset({event.id}))
    assert await places_of_marker(database) == before


@pytest.mark.parametrize("status", [RunStatus.PENDING, RunStatus.RUNNING, RunStatus.WAITING])
async def test_an_event_that_has_a_part_in_an_unfinished_run_keeps_its_payload(
    database: Database, status: RunStatus
) -> None:
    starter, resumer = await plant(database), await plant(database)
    await resume(database, resumer, run_of(starter.id))
    going_on = update(run_rows).where(run_rows.c.id == run_of(starter.id)).values(status=status)
    await database.write(execute, going_on)

    done = await database.write(expunge, [starter.id, resumer.id], NOW)

    assert done.in_use == {starter.id, resumer.id}


async def test_an_event_that_is_being_resent_keeps_its_payload(database: Database) -> None:
    event = await plant(database)
    await database.queue.enqueue([NewTask(TaskKind.DELIVER, event.id, 9)])

    assert (await database.write(expunge, [event.id], NOW)).in_use == {event.id}


async def test_a_dead_letter_without_its_payload_is_not_retried(database: Database) -> None:
    event = await plant(database)
    await database.write(expunge, [event.id], NOW)
    [letter] = (await database.read(dead_letters.page)).items

    assert (letter.body, letter.error, letter.expunged_at) == (b"", GONE, NOW)
    with pytest.raises(PayloadExpunged):
        await database.write(dead_letters.retry, letter.id, NOW)
    assert await database.write(dead_letters.retry_some, dead_letters.ALL, NOW) == 0
    assert await database.read(dead_letters.count_retried) == 0
    assert await database.read(dead_letters.count) == 1


async def test_a_dead_letter_that_outlived_its_event_is_not_retried(database: Database) -> None:
    letter = a_dead_letter(new_event())
    await store(database, letter)

    with pytest.raises(EventGone):
        await database.write(dead_letters.retry, letter.id, NOW)
    assert await database.write(dead_letters.retry_some, dead_letters.ALL, NOW) == 0
