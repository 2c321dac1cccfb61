"""When schedules start runs: pure decisions, about given moments.

A cron expression is read by ``cronsim``, which follows Debian's cron when clocks are changed. Where minute and hour are
both fixed (neither begins with ``*``), a time that is left out comes at the first moment behind the gap, and one that
comes twice counts the first time only. All others follow the clock on the wall: what is left out is left out, and an
hour that comes twice is met twice. (On the day on which a zone changes its clock by half an hour, the library may pass
over half of a fixed hour whose minutes begin with ``*``.)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]  # a package of data: it has no types
from cronsim import CronSim, CronSimError

from kanca.domain.ids import derived_id, id_at

Missed = Literal["once", "skip"]

MAX_CRON_LENGTH = 200
FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
ON_TIME = timedelta(minutes=1)
"""What is not later than this was not missed."""

_ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)
_FINEST = timedelta(minutes=1)
"""Moments are whole minutes."""


class InvalidSchedule(ValueError):
    """The cron expression or the zone cannot be; the message is for people."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A cron expression in the local time of a zone."""

    cron: str
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime:
        """The first moment later than ``moment``, in UTC. Raises InvalidSchedule when 50 years have none."""
        for found in CronSim(self.cron, moment.astimezone(self.zone)):
            at = found.astimezone(UTC)
            # In an hour that comes for the second time, fixed times are given that went by in the first.
            if at > moment:
                return at
        raise _never_comes(self.cron)

    def newest(self, first: datetime, now: datetime) -> datetime:
        """The latest moment up to ``now``, where ``first`` is one. It looks at few of those between."""
        newest, beyond = first, now
        while beyond - newest >= _FINEST:
            middle = newest + (beyond - newest) / 2
            found = self.after(middle)
            if found <= now:
                newest = found
            else:
                beyond = middle
        return newest


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be done about a schedule that is due."""

    run_at: datetime | None
    """The moment for which a run starts; None starts none."""
    next_at: datetime


def read_rule(cron: str, timezone: str) -> Rule:
    """The rule of these. Raises InvalidSchedule."""
    return Rule(read_cron(cron), read_zone(timezone))


def read_cron(text: str) -> str:
    """The cron expression in ``text``, its five fields parted by one space. Raises InvalidSchedule."""
    fields = text.split()
    if len(fields) != len(FIELDS):
        # Six would be one with seconds, for the library.
        raise InvalidSchedule(f"it has {len(fields)} fields, and must have five: {', '.join(FIELDS)}")
    cron = " ".join(fields)
    if len(cron) > MAX_CRON_LENGTH:
        raise InvalidSchedule(f"it is longer than {MAX_CRON_LENGTH} characters")
    for name, field in zip(FIELDS, fields, strict=True):
        if not _is_readable(name, field):
            raise InvalidSchedule(f"{field!r} cannot be the {name}")
    try:
        next(CronSim(cron, _ANY_DAY))
    except (CronSimError, StopIteration):
        raise _never_comes(cron) from None
    return cron


def read_zone(name: str) -> ZoneInfo:
    """The time zone of that name. Raises InvalidSchedule."""
    if name not in _zone_names():
        raise InvalidSchedule(
            f"there is no time zone {name[:64]!r}; one is named like Europe/Istanbul, or UTC"
        )
    return ZoneInfo(name)


def turn_of(rule: Rule, missed: Missed, due_at: datetime, now: datetime) -> Turn:
    """What follows at ``now`` for a schedule that was due at ``due_at``, a moment of its rule that is not later.

    Of several moments that went by, at most the newest starts a run. Raises InvalidSchedule when no moment follows.
    """
    newest = rule.newest(due_at, now)
    is_on_time = now - newest <= ON_TIME
    return Turn(newest if is_on_time or missed == "once" else None, rule.after(newest))


def run_id_of(workflow_number: int, node_id: str, moment: datetime) -> UUID:
    """The id of the run that a schedule starts for a moment: always the same, so that there is only one."""
    return derived_id(id_at(moment), "schedule", str(workflow_number), node_id)


def _is_readable(name: str, field: str) -> bool:
    """Whether the library takes that field, among others that are any."""
    try:
        CronSim(" ".join(field if each == name else "*" for each in FIELDS), _ANY_DAY)
    except CronSimError:
        return False
    return field.isascii()


def _never_comes(cron: str) -> InvalidSchedule:
    return InvalidSchedule(f"{cron!r} never comes: there is no such day in 50 years")


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    """The names that mean the same everywhere: those that a machine may have besides (``localtime``) do not."""
    return frozenset(files(tzdata).joinpath("zones").read_text().split()) - {"Factory"}
