"""Telling of trouble with webhooks themselves: noted by whoever sees it, told as events, and to people.

Every worker does all of this. What is told is taken from the database, so that one worker tells it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection

from kanca.domain.ids import show_id
from kanca.domain.subscription import OPERATIONAL_ENDPOINT
from kanca.domain.task import NewTask, TaskKind
from kanca.errors import Unavailable
from kanca.outbound.alerts import Addresses
from kanca.outbound.notices import (
    GROWTH_WINDOW,
    LEAST_REJECTED,
    PAUSE,
    QUIET,
    REJECTING_MINUTES,
    NoticeKind,
    event_of,
    growing,
    is_rejecting,
    is_told,
    message_of,
    retry_after,
)
from kanca.storage import alerts, events, notices, trouble
from kanca.storage.new_tasks import add_tasks
from kanca.storage.notices import Notice
from kanca.storage.ports import Database, Waker
from kanca.storage.statistics import MINUTE
from kanca.storage.types import EPOCH
from kanca.telemetry.metrics import ALERTS

log = structlog.get_logger(__name__)

EVERY = timedelta(seconds=1)
WATCH_EVERY = timedelta(minutes=1)
BATCH = 100
"""Notices that are told in one transaction."""
KEPT = timedelta(days=30)
"""How long a notice is remembered after what it told of has not happened again."""
LEASE = timedelta(minutes=2)
"""A worker that sends a message for longer is taken for dead: another one sends it."""
ALERT = "alr"
"""What the ids of messages begin with."""

_Key = tuple[str, str]


class Notices:
    """What this process saw, until it is written. Noting waits for nothing."""

    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now
        self._noted: dict[_Key, Notice] = {}

    def note(
        self,
        kind: str,
        subject: str,
        tenant: str,
        facts: Mapping[str, Any],
        *,
        endpoint: int | None = None,
    ) -> None:
        """Note that something happened to ``subject``; ``kind`` is one of ``NoticeKind``.

        ``facts`` become members of the event's data, as JSON has them; ``reason``, or else ``last_error``, is a code
        that people are told too.
        ``endpoint`` is the number of the endpoint that the event in question came to: nothing is told of trouble with
        events about webhooks themselves.
        """
        if is_told(endpoint):
            now = self._now()
            self._add(Notice(kind, subject, tenant, now, now, 1, facts))

    async def flush(self) -> None:
        """Write what was noted. What cannot be written now is kept for the next time."""
        noted, self._noted = self._noted, {}
        if not noted:
            return
        try:
            await self._database.write(notices.note_all, list(noted.values()))
        except BaseException as error:
            later, self._noted = self._noted, noted
            for notice in later.values():
                self._add(notice)
            if not isinstance(error, Unavailable):
                raise
            log.warning("notices_not_written", code=error.code)

    def _add(self, notice: Notice) -> None:
        key = (notice.kind, notice.subject)
        before = self._noted.get(key)
        if before is not None:
            count = before.count + notice.count
            notice = Notice(*key, notice.tenant, before.first_at, notice.last_at, count, notice.facts)
        self._noted[key] = notice


class Noticer:
    """The duty that tells what was noted, and watches what nobody else would notice."""

    def __init__(
        self,
        database: Database,
        waker: Waker,
        noted: Notices,
        new_id: Callable[[], UUID],
        *,
        tells_people: bool = False,
    ) -> None:
        """``tells_people``: there are addresses, so that what is told is also collected for a message."""
        self._database = database
        self._waker = waker
        self._noted = noted
        self._new_id = new_id
        self._tells_people = tells_people
        self._watched_at = EPOCH
        self._samples: deque[tuple[datetime, dict[str, int]]] = deque()

    async def run_once(self) -> timedelta:
        """Write, watch and tell what there is, and say when to look again. Raises DatabaseUnavailable."""
        await self._noted.flush()
        now = await self._database.now()
        # A moment in the future is one from before the clock was set back.
        if not timedelta(0) <= now - self._watched_at < WATCH_EVERY:
            await self._watch(now)
            self._watched_at = now
        while await self._database.read(notices.is_any_due, now, QUIET):
            told = await self._database.write(tell, now, self._new_id, tells_people=self._tells_people)
            if told:
                self._waker.wake()
            if told < BATCH:
                break
        return EVERY

    async def _watch(self, now: datetime) -> None:
        await self._watch_dead_letters(now)
        await self._watch_endpoints(now)
        await self._database.write(notices.forget, now - KEPT)

    async def _watch_dead_letters(self, now: datetime) -> None:
        counts = await self._database.read(trouble.dead_letters_by_tenant)
        while self._samples and self._samples[0][0] <= now - GROWTH_WINDOW:
            self._samples.popleft()
        grown = growing((sample for _, sample in self._samples), counts)
        for tenant, (before, after) in grown.items():
            facts = {
                "dead_letters": after,
                "before": before,
                "minutes": GROWTH_WINDOW // timedelta(minutes=1),
                "reason": f"{before} became {after}",
            }
            await self._note_once(NoticeKind.DLQ_GROWING, tenant, tenant, facts, now)
        self._samples.append((now, counts))

    async def _watch_endpoints(self, now: datetime) -> None:
        until = now - (now - EPOCH) % MINUTE
        since = until - REJECTING_MINUTES * MINUTE
        for found in await self._database.read(trouble.refusing, since, until, LEAST_REJECTED):
            if is_rejecting(found.rejected, found.requests):
                facts = {
                    "endpoint_id": found.webhook_id,
                    "name": found.name,
                    "rejected": found.rejected,
                    "requests": found.requests,
                    "minutes": REJECTING_MINUTES,
                    "reason": await self._database.read(trouble.last_rejection, found.number),
                }
                kind = NoticeKind.ENDPOINT_REJECTING
                await self._note_once(kind, found.webhook_id, found.tenant, facts, now)

    async def _note_once(
        self, kind: NoticeKind, subject: str, tenant: str, facts: Mapping[str, Any], now: datetime
    ) -> None:
        # Every worker sees it, minute after minute.
        await self._database.write(notices.note_once, kind, subject, tenant, facts, now, QUIET)


class PeopleTeller:
    """The duty that sends people the messages which are collected for them."""

    def __init__(self, database: Database, addresses: Addresses, place: str) -> None:
        """``place`` says in each message which Kanca it comes from."""
        self._database = database
        self._addresses = addresses
        self._place = place

    async def run_once(self) -> timedelta:
        """Send a message that is due, and say when to look for another. Raises DatabaseUnavailable."""
        now = await self._database.now()
        if not await self._database.read(alerts.is_any_due, now):
            return EVERY
        alert = await self._database.write(alerts.take, now, LEASE)
        if alert is None:
            return EVERY
        done = alert.done | await self._addresses.tell(message_of(alert, self._place), alert.done)
        left = [position for position in range(len(self._addresses)) if position not in done]
        ALERTS.labels("sent").inc(len(done) - len(alert.done))
        ALERTS.labels("failed").inc(len(left))
        pause = retry_after(alert.tries)
        if left:
            # By number: the addresses themselves hold secrets.
            numbers = [position + 1 for position in left]
            log.warning("people_not_told", alert=alert.id, addresses=numbers, tries=alert.tries)
        if left and pause is not None:
            await self._database.write(alerts.put_off, alert, done, now + pause)
        else:
            await self._database.write(alerts.end, alert)
        return timedelta(0)


def tell(connection: Connection, now: datetime, new_id: Callable[[], UUID], *, tells_people: bool) -> int:
    """Store the events of notices that are to be told, each with its dispatch; gives how many there were."""
    taken = notices.take_due(connection, now, QUIET, BATCH)
    told = [event_of(notice, new_id(), now) for notice in taken]
    for event in told:
        events.add(connection, event)
    add_tasks(connection, [NewTask(TaskKind.DISPATCH, event.id, OPERATIONAL_ENDPOINT) for event in told], now)
    if taken and tells_people:
        alerts.collect(connection, show_id(ALERT, new_id()), taken, now, PAUSE)
    return len(taken)
