from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert

from kanca.domain.event import Accepted, NewEvent, StoredEvent
from kanca.domain.status import EventStatus, OutcomeStatus
from kanca.domain.task import Attempt, Outcome
from kanca.errors import InvalidInput
from kanca.storage import event_list, events, scanning
from kanca.storage.event_list import EventFilter
from kanca.storage.ports import Database
from kanca.storage.scanning import Effort
from kanca.storage.tables import attempts, outcomes
from tests.factories import an_attempt, an_outcome, ids, new_event

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


def _add(connection: Connection, ended: Sequence[Outcome] = (), failed: Sequence[Attempt] = ()) -> None:
    for table, rows in ((outcomes, ended), (attempts, failed)):
        if rows:
            connection.execute(insert(table), [asdict(row) for row in rows])


async def _store(database: Database, *batch: NewEvent) -> list[NewEvent]:
    assert await database.accepting.append(batch) == [Accepted()] * len(batch)
    return list(batch)


def _at(moment: datetime, number: int = 0) -> UUID:
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | 7 << 76 | 2 << 62 | number)


async def _all(database: Database, wanted: EventFilter, limit: int) -> list[UUID]:
    found: list[UUID] = []
    cursor = None
    while True:
        page = await database.read(event_list.page, wanted, limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        found += [each.event.id for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_an_event_is_read_back_with_what_became_of_it(database: Database) -> None:
    event, other = await _store(database, new_event(source_event_id="s"), new_event())
    failed = an_attempt(event)
    ended = an_outcome(event, attempt_number=2, result=b'{"ok":true}')
    await database.write(_add, [ended], [failed, an_attempt(other)])

    stored = StoredEvent(
        **{name: value for name, value in asdict(event).items() if name not in {"dedupe_key", "dedupe_until"}}
    )
    assert await database.read(events.get, event.id) == stored
    found = await database.read(event_list.get, event.id)
    assert found == event_list.EventWithOutcomes(stored, EventStatus.SUCCEEDED, (ended,), (failed,))
    assert await database.read(event_list.get, ids.new()) is None
    assert await database.read(events.get, ids.new()) is None


async def test_lists_tell_the_failed_attempts_of_what_has_not_ended_well(database: Database) -> None:
    well, dead, open_ = await _store(database, *(new_event(id=_at(NOW, n)) for n in range(3)))
    failed = [an_attempt(event, id=_at(NOW, 10 + n)) for n, event in enumerate((well, dead, open_))]
    await database.write(_add, [an_outcome(well), an_outcome(dead, status=OutcomeStatus.DEAD)], failed)
    page = await database.read(event_list.page)
    assert [each.attempts for each in page.items] == [(failed[2],), (failed[1],), ()]


async def test_events_are_listed_newest_first_page_by_page(database: Database) -> None:
    stored = await _store(database, *(new_event(id=_at(NOW, n)) for n in range(7)))
    wanted = [event.id for event in reversed(stored)]
    for limit in (1, 2, 3, 6, 7, 8):
        assert await _all(database, EventFilter(), limit) == wanted


async def test_the_last_page_says_that_it_is_the_last(database: Database) -> None:
    await _store(database, *(new_event() for _ in range(4)))
    assert (await database.read(event_list.page, limit=4)).next_cursor is None
    assert (await database.read(event_list.page, limit=3)).next_cursor is not None


async def test_an_offset_skips(database: Database) -> None:
    stored = await _store(database, *(new_event(id=_at(NOW, n)) for n in range(7)))
    page = await database.read(event_list.page, limit=2, offset=3)
    assert [each.event.id for each in page.items] == [stored[3].id, stored[2].id]
    page = await database.read(event_list.page, limit=9, cursor=page.next_cursor)
    assert [each.event.id for each in page.items] == [stored[1].id, stored[0].id]
    assert (await database.read(event_list.page, offset=7)).items == ()
    for offset in (-1, 10_001):
        with pytest.raises(InvalidInput, match="offset"):
            await database.read(event_list.page, offset=offset)


@pytest.mark.parametrize("effort", [Effort(500, 20_000), Effort(2, 20_000), Effort(3, 5)])
async def test_filters_find_what_they_say_however_little_is_looked_at_a_time(
    database: Database, effort: Effort, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IN_DATABASE", "ROW_BY_ROW"):
        monkeypatch.setattr(event_list, name, effort)
    stored = await _store(
        database,
        *(
            new_event(
                id=_at(NOW + timedelta(days=n // 4), n),
                endpoint=100 + n % 2,
                type=f"type.{n % 3}",
                tenant=f"tenant-{n % 4}",
                correlation_id=f"cor-{n % 5}",
            )
            for n in range(24)
        ),
    )
    ended = [an_outcome(event) for event in stored[::2]]
    ended += [an_outcome(event, status=OutcomeStatus.DEAD) for event in stored[1::4]]
    await database.write(_add, ended)

    expectations: dict[EventFilter, Any] = {
        EventFilter(endpoint=101): lambda n: n % 2 == 1,
        EventFilter(type="type.2"): lambda n: n % 3 == 2,
        EventFilter(tenant="tenant-1", endpoint=101): lambda n: n % 4 == 1,
        EventFilter(correlation_id="cor-4"): lambda n: n % 5 == 4,
        EventFilter(correlation_id="none such"): lambda _: False,
        EventFilter(status=EventStatus.SUCCEEDED): lambda n: n % 2 == 0,
        EventFilter(status=EventStatus.DEAD): lambda n: n % 4 == 1,
        EventFilter(status=EventStatus.PENDING): lambda n: n % 4 == 3,
        EventFilter(status=EventStatus.SKIPPED): lambda _: False,
        EventFilter(status=EventStatus.DEAD, type="type.2"): lambda n: n % 4 == 1 and n % 3 == 2,
        EventFilter(since=NOW + timedelta(days=2)): lambda n: n >= 8,
        EventFilter(until=NOW + timedelta(days=2)): lambda n: n < 8,
        EventFilter(since=NOW + timedelta(days=1), until=NOW + timedelta(days=2), type="type.0"): lambda n: (
            n == 6
        ),
    }
    for wanted, fits in expectations.items():
        expected = [stored[n].id for n in reversed(range(24)) if fits(n)]
        for limit in (1, 4, 50):
            assert await _all(database, wanted, limit) == expected, wanted


async def test_skipping_through_what_is_rare_is_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_list, "IN_DATABASE", Effort(2, 4))
    await _store(database, *(new_event() for _ in range(8)))
    with pytest.raises(InvalidInput, match="next_cursor"):
        await database.read(event_list.page, EventFilter(type="rare"), offset=1)


async def test_what_a_duplicate_is_told(database: Database) -> None:
    one, several, open_, dead, mute, new = await _store(database, *(new_event() for _ in range(6)))
    await database.write(
        _add,
        [
            an_outcome(one, result=b'{"n":1}', finished_at=NOW),
            an_outcome(several, work="dispatch", status=OutcomeStatus.EXPANDED, works=2, finished_at=NOW),
            an_outcome(
                several, work="handler:a", works=None, result=b"1", finished_at=NOW + timedelta(hours=1)
            ),
            an_outcome(several, work='handler:"b"', works=None, result=b"[2]", finished_at=NOW),
            an_outcome(open_, work="dispatch", status=OutcomeStatus.EXPANDED, works=2),
            an_outcome(open_, work="handler:a", works=None, result=b"1"),
            an_outcome(dead, status=OutcomeStatus.DEAD, finished_at=NOW),
            an_outcome(mute, work="dispatch", status=OutcomeStatus.SKIPPED, works=0, finished_at=NOW),
        ],
    )
    told = await database.read(
        events.originals, [event.id for event in (one, several, open_, dead, mute, new)]
    )
    assert {(each.status, each.processed_at, each.result) for each in told.values()} == {
        (EventStatus.SUCCEEDED, NOW, b'{"n":1}'),
        (EventStatus.SUCCEEDED, NOW + timedelta(hours=1), b'{"handler:\\"b\\"":[2],"handler:a":1}'),
        (EventStatus.PENDING, None, None),
        (EventStatus.DEAD, NOW, None),
        (EventStatus.SKIPPED, NOW, None),
    }
    assert told[new.id].status is EventStatus.PENDING


async def test_a_replay_is_a_new_event_with_the_same_bytes(database: Database) -> None:
    [event] = await _store(database, new_event(dedupe_key=ids.new(), source_event_id="s"))
    stored = await database.read(events.get, event.id)
    assert stored is not None
    replay = events.as_replay(stored, ids.new(), NOW)
    assert await database.accepting.append([replay]) == [Accepted()]
    again = await database.read(events.get, replay.id)
    assert again is not None
    assert (again.body, again.request, again.replay_of) == (event.body, event.request, event.id)
    assert again.received_at == NOW
    assert events.as_replay(again, ids.new(), NOW).replay_of == event.id


def test_the_efforts_bound_what_a_page_costs() -> None:
    assert scanning.IN_DATABASE.limit <= 200_000
    assert scanning.ROW_BY_ROW.limit <= 20_000
