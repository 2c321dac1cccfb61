"""Trouble with webhooks is told: as events, once, and to people, however much of it there is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import Connection, select

from kanca.domain.subscription import OPERATIONAL_ENDPOINT
from kanca.domain.task import TaskKind
from kanca.errors import DatabaseUnavailable
from kanca.handlers.event import Event
from kanca.handlers.registry import HandlerRegistry
from kanca.outbound.alerts import Addresses
from kanca.outbound.notices import MOST_TRIES, Message, NoticeKind
from kanca.storage import statistics
from kanca.storage.ports import Database
from kanca.storage.statistics import Counted
from kanca.storage.tables import events, tasks
from kanca.workers.noticing import WATCH_EVERY, Noticer, Notices, PeopleTeller
from tests.api.rows import store
from tests.databases import ClockOffset
from tests.factories import a_dead_letter, ids, new_event
from tests.workers.site import Site

DEAD = NoticeKind.DELIVERY_DEAD


class Wakes:
    """Counts how often workers are told that there is work."""

    def __init__(self) -> None:
        self.count = 0

    def wake(self) -> None:
        self.count += 1


class People:
    """Addresses of which some do not work."""

    def __init__(self, count: int = 1, *broken: int) -> None:
        self.count = count
        self.broken = set(broken)
        self.got: list[tuple[int, Message]] = []

    def __len__(self) -> int:
        return self.count

    async def tell(self, message: Message, without: Collection[int] = ()) -> set[int]:
        asked = set(range(self.count)) - set(without)
        went = asked - self.broken
        self.got += [(position, message) for position in sorted(went)]
        return went


def noticer(database: Database, noted: Notices | None = None, **options: Any) -> Noticer:
    waker = cast(Any, options.pop("waker", Wakes()))
    new_id: Callable[[], UUID] = options.pop("new_id", ids.new)
    return Noticer(database, waker, noted or Notices(database), new_id, **options)


def teller(database: Database, people: People) -> PeopleTeller:
    return PeopleTeller(database, cast(Addresses, people), "Kanca")


async def told(database: Database) -> list[dict[str, Any]]:
    """The events about webhooks, with their data."""

    def read(connection: Connection) -> list[dict[str, Any]]:
        query = select(events).where(events.c.endpoint == OPERATIONAL_ENDPOINT).order_by(events.c.id)
        return [
            {"type": row.type, "tenant": row.tenant, **json.loads(row.body)["data"]}
            for row in connection.execute(query)
        ]

    return await database.read(read)


async def dispatches(database: Database) -> int:
    query = select(tasks).where(tasks.c.kind == TaskKind.DISPATCH, tasks.c.target == OPERATIONAL_ENDPOINT)
    return await database.read(lambda connection: len(connection.execute(query).all()))


async def test_a_storm_is_an_event_a_subscription_and_one_message(database: Database) -> None:
    noted, waker, people = Notices(database), Wakes(), People()
    for number in range(500):
        noted.note(DEAD, f"sub{number % 40}", "acme", {"reason": "http_500", "number": number})

    await noticer(database, noted, waker=waker, tells_people=True).run_once()
    await teller(database, people).run_once()
    await teller(database, people).run_once()

    events = await told(database)
    assert len(events) == await dispatches(database) == 40
    assert {each["subject"] for each in events} == {f"sub{number}" for number in range(40)}
    assert sum(each["count"] for each in events) == 500
    assert all((each["type"], each["tenant"]) == ("delivery.dead", "acme") for each in events)
    assert waker.count == 1
    [(_, message)] = people.got
    assert message.title == "Kanca: 500 dead deliveries of 40 subscriptions"
    assert len(message.body.splitlines()) < 10


async def test_a_storm_that_goes_on_is_collected(database: Database, clock_offset: ClockOffset) -> None:
    noted, people = Notices(database), People()
    telling = noticer(database, noted, tells_people=True)
    for minute in range(12):
        await clock_offset(60 * minute)
        noted.note(DEAD, "shop", "acme", {})
        noted.note(DEAD, f"sub{minute}", "acme", {})
        await telling.run_once()
        await teller(database, people).run_once()

    counts = [(each["subject"], each["count"]) for each in await told(database)]
    assert sorted(counts) == sorted([("shop", 1), *((f"sub{minute}", 1) for minute in range(12))])
    assert [message.title for _, message in people.got] == [
        "Kanca: 2 dead deliveries of 2 subscriptions",
        "Kanca: 5 dead deliveries of 5 subscriptions",
        "Kanca: 5 dead deliveries of 5 subscriptions",
    ]

    await clock_offset(60 * 15 + 1)
    await telling.run_once()
    assert (await told(database))[-1].items() >= {"subject": "shop", "count": 11}.items()


async def test_two_workers_tell_once(database: Database) -> None:
    noted = Notices(database)
    for number in range(30):
        noted.note(DEAD, f"sub{number}", "acme", {})
    await noted.flush()

    await asyncio.gather(*(noticer(database).run_once() for _ in range(4)))

    assert len({each["subject"] for each in await told(database)}) == len(await told(database)) == 30


async def test_a_worker_that_dies_while_it_tells_leaves_everything_to_the_next(database: Database) -> None:
    noted = Notices(database)
    noted.note(DEAD, "a", "acme", {})
    noted.note(DEAD, "b", "acme", {})
    made = 0

    def new_id() -> UUID:
        nonlocal made
        made += 1
        if made == 2:
            raise ZeroDivisionError
        return ids.new()

    with pytest.raises(ZeroDivisionError):
        await noticer(database, noted, new_id=new_id, tells_people=True).run_once()
    assert await told(database) == []

    people = People()
    await noticer(database, tells_people=True).run_once()
    await teller(database, people).run_once()
    assert len(await told(database)) == await dispatches(database) == 2
    assert len(people.got) == 1


async def test_trouble_with_events_about_webhooks_is_not_told(database: Database) -> None:
    noted = Notices(database)
    noted.note(DEAD, "shop", "acme", {}, endpoint=OPERATIONAL_ENDPOINT)
    await noticer(database, noted).run_once()
    assert await told(database) == []

    noted.note(DEAD, "shop", "acme", {}, endpoint=0)
    await noticer(database, noted).run_once()
    assert len(await told(database)) == 1


async def test_what_cannot_be_written_is_kept(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Notices(database)
    noted.note(DEAD, "shop", "acme", {"number": 1})

    async def away(*_: Any) -> None:
        noted.note(DEAD, "shop", "acme", {"number": 2})
        raise DatabaseUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(database, "write", away)
        await noted.flush()
    noted.note(DEAD, "shop", "acme", {"number": 3})
    await noticer(database, noted).run_once()

    [event] = await told(database)
    assert (event["count"], event["number"]) == (3, 3)


async def test_handlers_that_ask_for_it_are_told_and_no_others(site: Site) -> None:
    handlers, got = HandlerRegistry(), list[tuple[str, Any]]()

    @handlers.on("delivery.dead", source="operational", name="asks")
    async def asks(event: Event[Any]) -> None:
        got.append(("asks", event.data["subject"]))

    @handlers.on("*", name="all")
    async def all_of_them(event: Event[Any]) -> None:
        got.append(("all", event.type))

    noted = Notices(site.database)
    noted.note(DEAD, "shop", "acme", {})
    await noticer(site.database, noted, waker=site.waker).run_once()
    query = select(events.c.id).where(events.c.endpoint == OPERATIONAL_ENDPOINT)
    event_id = await site.database.read(lambda connection: connection.execute(query).scalar_one())
    await site.start(handlers)
    await site.ended(event_id)

    assert got == [("asks", "shop")]


async def test_people_who_were_not_reached_are_tried_a_few_times_more(
    database: Database, clock_offset: ClockOffset
) -> None:
    noted, people = Notices(database), People(3, 1)
    noted.note(DEAD, "shop", "acme", {})
    await noticer(database, noted, tells_people=True).run_once()
    await teller(database, people).run_once()
    await teller(database, people).run_once()
    assert [position for position, _ in people.got] == [0, 2]

    people.broken = set()
    await clock_offset(61)
    await teller(database, people).run_once()
    await teller(database, people).run_once()
    assert [position for position, _ in people.got] == [0, 2, 1]


async def test_an_address_that_never_works_is_given_up(database: Database, clock_offset: ClockOffset) -> None:
    noted, people = Notices(database), People(1, 0)
    tries: list[Message] = []
    noted.note(DEAD, "shop", "acme", {})
    await noticer(database, noted, tells_people=True).run_once()

    async def fails(message: Message, _without: Collection[int] = ()) -> set[int]:
        tries.append(message)
        return set()

    people.tell = fails  # type: ignore[method-assign,assignment]  # counts
    for hour in range(10):
        await clock_offset(3600 * hour * 2)
        await teller(database, people).run_once()

    assert len(tries) == MOST_TRIES


async def test_a_message_whose_sender_died_is_sent_by_another(
    database: Database, clock_offset: ClockOffset
) -> None:
    noted, people = Notices(database), People()
    noted.note(DEAD, "shop", "acme", {})
    await noticer(database, noted, tells_people=True).run_once()

    async def dies(*_: Any) -> set[int]:
        raise asyncio.CancelledError

    dying = People()
    dying.tell = dies  # type: ignore[method-assign,assignment]  # as a process that is killed
    with pytest.raises(asyncio.CancelledError):
        await teller(database, dying).run_once()
    await teller(database, people).run_once()
    assert people.got == []
    await clock_offset(121)
    await teller(database, people).run_once()
    assert len(people.got) == 1


async def test_dead_letters_that_become_many_are_told_once_whoever_watches(
    database: Database, clock_offset: ClockOffset
) -> None:
    watching = [noticer(database) for _ in range(2)]
    await store(database, *(a_dead_letter(new_event(tenant="acme")) for _ in range(30)))
    for each in watching:
        await each.run_once()
    assert await told(database) == []

    await store(database, *(a_dead_letter(new_event(tenant="acme")) for _ in range(20)))
    for minute in range(1, 20):
        await clock_offset(minute * WATCH_EVERY.total_seconds())
        for each in watching:
            await each.run_once()
            await each.run_once()

    [event] = await told(database)
    assert event["type"] == NoticeKind.DLQ_GROWING
    assert (event["tenant"], event["subject"]) == ("acme", "acme")
    assert (event["before"], event["dead_letters"], event["count"]) == (30, 50, 1)


async def test_who_watches_goes_on_when_the_clock_was_set_back(
    database: Database, clock_offset: ClockOffset
) -> None:
    watching = noticer(database)
    await clock_offset(86_400)
    await watching.run_once()
    await clock_offset(0)
    await watching.run_once()
    await store(database, *(a_dead_letter(new_event(tenant="acme")) for _ in range(30)))
    await clock_offset(WATCH_EVERY.total_seconds())
    await watching.run_once()
    await watching.run_once()

    assert [event["type"] for event in await told(database)] == [NoticeKind.DLQ_GROWING]


async def test_an_endpoint_that_refuses_most_is_told_of_every_so_often_while_it_does(
    site: Site, clock_offset: ClockOffset
) -> None:
    database = site.database
    watching = [noticer(database) for _ in range(2)]
    started = datetime.now(UTC)
    for minute in range(40):
        at = started + timedelta(minutes=minute)
        await database.write(statistics.add, "w", [Counted(100, at, accepted=9, rejected=10)])
    for minute in range(40):
        await clock_offset(minute * 60)
        for each in watching:
            await each.run_once()
            await each.run_once()

    events = await told(database)
    assert [each["count"] for each in events] == [1] * len(events)
    assert len(events) == 3
    assert (
        events[0].items()
        >= {
            "type": NoticeKind.ENDPOINT_REJECTING,
            "subject": f"wh_{100:024x}",
            "endpoint_id": f"wh_{100:024x}",
            "minutes": 5,
        }.items()
    )
