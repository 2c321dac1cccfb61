"""What is still to be told, and the messages to people, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection

from kanca.domain.endpoint import Secret
from kanca.storage import alerts, endpoints, notices, rejections, statistics, trouble
from kanca.storage.notices import Notice
from kanca.storage.ports import Database
from kanca.storage.rejections import Rejection
from kanca.storage.secret_box import SecretBox
from kanca.storage.statistics import Counted
from tests.api.rows import store
from tests.factories import a_dead_letter, ids, new_endpoint, new_event

NOW = datetime(2026, 5, 5, 12, 30, 40, tzinfo=UTC)
QUIET = timedelta(minutes=15)
SECOND = timedelta(seconds=1)


async def note(database: Database, subject: str = "s", at: datetime = NOW, number: int = 0) -> None:
    await database.write(notices.note, "delivery.dead", subject, "acme", {"number": number}, at)


async def take(database: Database, now: datetime = NOW, limit: int = 100) -> list[Notice]:
    is_any = await database.read(notices.is_any_due, now, QUIET)
    taken = await database.write(notices.take_due, now, QUIET, limit)
    assert is_any == bool(taken)
    return taken


async def test_what_happens_often_is_taken_once_with_its_count(database: Database) -> None:
    for number in range(5):
        await note(database, at=NOW + number * SECOND, number=number)

    [taken] = await take(database, NOW + 5 * SECOND)

    assert taken == Notice("delivery.dead", "s", "acme", NOW, NOW + 4 * SECOND, 5, {"number": 4})
    assert await take(database, NOW + timedelta(days=1)) == []


async def test_after_a_clock_was_set_back_nobody_waits_for_the_time_that_it_said(database: Database) -> None:
    wrong = NOW + timedelta(days=365)
    about: tuple[str, str, str, dict[str, str]] = ("endpoint.rejecting", "wh_1", "acme", {})
    await note(database, at=wrong)
    assert len(await take(database, wrong)) == 1
    assert await database.write(notices.note_once, *about, wrong, QUIET)

    await note(database)
    assert await database.write(notices.note_once, *about, NOW, QUIET)

    assert {each.subject for each in await take(database)} == {"s", "wh_1"}


async def test_what_happens_again_is_collected_for_the_quiet_time(database: Database) -> None:
    await note(database)
    await take(database)
    await note(database, at=NOW + SECOND)
    await note(database, "other", at=NOW + SECOND)
    await note(database, at=NOW + 2 * SECOND)

    assert [each.subject for each in await take(database, NOW + 3 * SECOND)] == ["other"]
    assert await take(database, NOW + QUIET - SECOND) == []
    [taken] = await take(database, NOW + QUIET)
    assert (taken.count, taken.first_at, taken.last_at) == (2, NOW + SECOND, NOW + 2 * SECOND)


async def test_what_happens_after_the_quiet_time_is_told_at_once(database: Database) -> None:
    await note(database)
    await take(database)
    later = NOW + QUIET
    await note(database, at=later)

    assert [each.count for each in await take(database, later)] == [1]


async def test_the_oldest_are_taken_first(database: Database) -> None:
    for position, subject in enumerate("cab"):
        await note(database, subject, NOW + position * SECOND)

    taken = [[each.subject for each in await take(database, NOW + QUIET, 2)] for _ in range(3)]

    assert taken == [["c", "a"], ["b"], []]


async def test_many_who_take_at_once_take_each_notice_once(database: Database) -> None:
    for number in range(50):
        await note(database, f"s{number}")

    taken = await asyncio.gather(*(database.write(notices.take_due, NOW, QUIET, 20) for _ in range(8)))

    subjects = [each.subject for part in taken for each in part]
    assert len(subjects) == len(set(subjects)) == 50


async def test_many_who_note_at_once_lose_nothing(database: Database) -> None:
    def of(numbers: list[int]) -> list[Notice]:
        return [Notice("delivery.dead", f"s{number}", "acme", NOW, NOW, 2) for number in numbers]

    orders = [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]]
    await asyncio.gather(*(database.write(notices.note_all, of(order)) for order in orders))

    assert [each.count for each in await take(database)] == [8, 8, 8]


async def test_what_all_workers_see_is_noted_once(database: Database) -> None:
    def note_once(connection: Connection, now: datetime) -> bool:
        return notices.note_once(connection, "dlq.growing", "acme", "acme", {}, now, QUIET)

    noted = await asyncio.gather(*(database.write(note_once, NOW) for _ in range(6)))

    assert sorted(noted) == [False] * 5 + [True]
    assert [each.count for each in await take(database)] == [1]
    assert await database.write(note_once, NOW + QUIET)


async def test_a_transaction_that_is_rolled_back_took_nothing(database: Database) -> None:
    await note(database)

    def dies(connection: Connection) -> None:
        notices.take_due(connection, NOW, QUIET, 10)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await database.write(dies)

    assert len(await take(database)) == 1


async def test_only_what_was_told_is_forgotten(database: Database) -> None:
    await note(database, "told")
    await take(database)
    await note(database, "due")

    assert await database.write(notices.forget, NOW) == 0
    assert await database.write(notices.forget, NOW + SECOND) == 1
    assert [each.subject for each in await take(database)] == ["due"]


PAUSE = timedelta(minutes=5)
LEASE = timedelta(minutes=2)
A_NOTICE = Notice("delivery.dead", "s", "acme", NOW, NOW, 3, {"reason": "timeout"})


async def collect(database: Database, alert_id: str, at: datetime, *told: Notice) -> None:
    await database.write(alerts.collect, alert_id, told or [A_NOTICE], at, PAUSE)


async def test_the_first_message_is_sent_at_once_and_the_next_after_a_pause(database: Database) -> None:
    await collect(database, "a", NOW)
    first = await database.write(alerts.take, NOW, LEASE)
    assert first is not None
    assert [(line.subject, line.count, line.reason) for line in first.lines] == [("s", 3, "timeout")]
    await database.write(alerts.end, first)

    for number, other in enumerate(("s", "t", "s")):
        at = NOW + number * SECOND
        await collect(database, f"b{number}", at, replace(A_NOTICE, subject=other, facts={}))
    assert not await database.read(alerts.is_any_due, NOW + PAUSE - SECOND)
    assert await database.write(alerts.take, NOW + PAUSE - SECOND, LEASE) is None
    assert await database.read(alerts.is_any_due, NOW + PAUSE)
    second = await database.write(alerts.take, NOW + PAUSE, LEASE)
    assert second is not None
    assert [(line.subject, line.count) for line in second.lines] == [("s", 6), ("t", 3)]

    # What is told while it is being sent is for the message after it.
    await collect(database, "c", NOW + PAUSE)
    await database.write(alerts.end, second)
    assert await database.write(alerts.take, NOW + 2 * PAUSE - SECOND, LEASE) is None
    assert await database.write(alerts.take, NOW + 2 * PAUSE, LEASE) is not None


async def test_people_are_told_after_a_clock_was_set_back(database: Database) -> None:
    wrong = NOW + timedelta(days=365)
    await collect(database, "sent", wrong)
    sent = await database.write(alerts.take, wrong, LEASE)
    assert sent is not None
    await database.write(alerts.end, sent)
    await collect(database, "waits", wrong)

    waits = await database.write(alerts.take, NOW, LEASE)
    assert waits is not None
    await database.write(alerts.end, waits)
    await collect(database, "new", NOW)

    assert await database.write(alerts.take, NOW, LEASE) is not None


async def test_of_many_senders_one_gets_a_message_until_its_lease_is_over(database: Database) -> None:
    await collect(database, "a", NOW)

    taken = await asyncio.gather(*(database.write(alerts.take, NOW, LEASE) for _ in range(6)))
    assert sum(alert is not None for alert in taken) == 1

    assert await database.write(alerts.take, NOW + LEASE - SECOND, LEASE) is None
    again = await database.write(alerts.take, NOW + LEASE, LEASE)
    assert again is not None
    assert again.tries == 2


async def test_a_message_that_is_put_off_knows_who_has_it(database: Database) -> None:
    await collect(database, "a", NOW)
    alert = await database.write(alerts.take, NOW, LEASE)
    assert alert is not None
    await database.write(alerts.put_off, alert, {2, 0}, NOW + timedelta(hours=1))

    assert await database.write(alerts.take, NOW + LEASE, LEASE) is None
    again = await database.write(alerts.take, NOW + timedelta(hours=1), LEASE)
    assert again == replace(alert, tries=2, done=frozenset({0, 2}))


async def test_a_message_has_so_many_lines_and_a_number_of_others(database: Database) -> None:
    told = [
        replace(A_NOTICE, subject=f"s{number}", facts={"last_error": "timeout"})
        for number in range(alerts.MOST_LINES + 7)
    ]
    await collect(database, "a", NOW, *told)
    alert = await database.write(alerts.take, NOW, LEASE)

    assert alert is not None
    assert (len(alert.lines), alert.others) == (alerts.MOST_LINES, 7 * 3)
    assert {line.reason for line in alert.lines} == {"timeout"}


async def test_messages_to_people_are_never_told_as_events(database: Database) -> None:
    await collect(database, "a", NOW)

    assert await take(database) == []


async def test_dead_letters_are_counted_by_tenant_but_for_those_of_operational_events(
    database: Database,
) -> None:
    letters = [
        a_dead_letter(new_event(tenant=tenant, endpoint=endpoint))
        for tenant, endpoint in (("a", 0), ("a", 100), ("b", 0), ("b", 4), ("c", 4))
    ]
    letters.append(replace(letters[0], id=ids.new(), endpoint=None))
    await store(database, *letters)

    assert await database.read(trouble.dead_letters_by_tenant) == {"a": 3, "b": 1}


async def test_endpoints_that_refuse_much_are_found_by_their_last_full_minutes(database: Database) -> None:
    box = SecretBox(["a key for tests"])
    made = await database.write(endpoints.create, box, new_endpoint(name="Shop", secrets=(Secret("s"),)))
    gone = await database.write(endpoints.create, box, new_endpoint())
    await database.write(endpoints.delete, gone.webhook_id, NOW)
    until = NOW.replace(second=0)
    since = until - timedelta(minutes=5)
    for at, rejected in ((since - SECOND, 1000), (since, 10), (until - SECOND, 12), (until, 1000)):
        for number in (made.number, gone.number):
            counted = Counted(number, at, accepted=1, duplicates=1, rejected=rejected)
            await database.write(statistics.add, "w", [counted])
    code = "bad_signature"
    refused = Rejection(ids.new(), made.number, NOW, 401, code, "", "192.0.2.1", b"{}")
    await database.write(rejections.add, [replace(refused, id=ids.new(), code="older"), refused])

    [found] = await database.read(trouble.refusing, since, until, 20)
    assert (found.webhook_id, found.name, found.tenant) == (made.webhook_id, "Shop", "default")
    assert (found.rejected, found.requests) == (22, 26)
    assert await database.read(trouble.refusing, since, until, 23) == []
    assert await database.read(trouble.last_rejection, made.number) is not None
    assert await database.read(trouble.last_rejection, gone.number) is None
