"""Events about webhooks themselves: when there is trouble to tell of, as what event, and in what words. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from kanca.domain.event import NewEvent
from kanca.domain.ids import EVENT, show_id
from kanca.domain.subscription import OPERATIONAL, OPERATIONAL_ENDPOINT
from kanca.storage.alerts import Alert, Line
from kanca.storage.notices import Notice

QUIET = timedelta(minutes=15)
"""What happens again is told at once after so long, and until then collected."""
PAUSE = timedelta(minutes=5)
"""Between two messages to people."""

GROWTH_WINDOW = timedelta(minutes=10)
LEAST_GROWTH = 20
"""Dead letters that a tenant has more than within the window, and at least half as many more, to be told of it."""
REJECTING_MINUTES = 5
LEAST_REJECTED = 20
"""Requests that an endpoint refused in these minutes, and more than half of all, to be told of it."""

MOST_SHOWN = 5
"""Subjects of one kind that a message names."""
MOST_TRIES = 5
FIRST_RETRY = timedelta(minutes=1)

Growth = Mapping[str, tuple[int, int]]
"""Of tenants: how many dead letters there were, and are."""


class NoticeKind(StrEnum):
    """What can be told; the type of the event."""

    SUBSCRIPTION_DISABLED = "subscription.disabled"
    """Kanca has switched a subscription off. The subject is the subscription."""
    DELIVERY_DEAD = "delivery.dead"
    """A delivery is dead. The subject is the subscription."""
    SUBSCRIPTION_FAILING = "subscription.failing"
    """Every attempt of a subscription has failed for a while. The subject is the subscription."""
    DLQ_GROWING = "dlq.growing"
    """Dead letters become many, and quickly. The subject is the tenant."""
    ENDPOINT_REJECTING = "endpoint.rejecting"
    """An endpoint refuses most of what comes. The subject is the endpoint."""


class Message(NamedTuple):
    """What people read."""

    title: str
    body: str


def is_told(event: int | None) -> bool:
    """Whether trouble with an event of that endpoint number is told of (None: it is about no event).

    What becomes of an event about webhooks is not: it would have another one follow, and so on for ever.
    """
    return event != OPERATIONAL_ENDPOINT


def growing(before: Iterable[Mapping[str, int]], now: Mapping[str, int], least: int = LEAST_GROWTH) -> Growth:
    """The tenants whose dead letters became many: ``before`` are their counts at moments within the window."""
    samples = list(before)
    found = {}
    for tenant, count in now.items():
        lowest = min((sample.get(tenant, 0) for sample in samples), default=count)
        if count - lowest >= least and 2 * (count - lowest) >= lowest:
            found[tenant] = (lowest, count)
    return found


def is_rejecting(rejected: int, requests: int) -> bool:
    """Whether an endpoint refuses most of its ``requests``, of which it ``rejected`` so many."""
    return rejected >= LEAST_REJECTED and 2 * rejected > requests


def event_of(notice: Notice, event_id: UUID, now: datetime) -> NewEvent:
    """The event that tells of a notice."""
    counted = {
        "subject": notice.subject,
        "count": notice.count,
        "first_at": notice.first_at.isoformat(),
        "last_at": notice.last_at.isoformat(),
    }
    body = {"event_type": notice.kind, "data": {**notice.facts, **counted}}
    about = {"method": None, "published_by": OPERATIONAL, "authenticated": True}
    return NewEvent(
        id=event_id,
        endpoint=OPERATIONAL_ENDPOINT,
        tenant=notice.tenant,
        type=notice.kind,
        received_at=now,
        source_event_id=None,
        correlation_id=show_id(EVENT, event_id),
        request=json.dumps(about).encode(),
        body=json.dumps(body).encode(),
        dedupe_key=None,
        dedupe_until=None,
    )


def retry_after(tries: int) -> timedelta | None:
    """How long after a message failed for the so manieth time it is tried again; None: never."""
    return None if tries >= MOST_TRIES else FIRST_RETRY * 4 ** (tries - 1)


def message_of(alert: Alert, place: str) -> Message:
    """What people read: however much happened, a few lines. ``place`` says which Kanca it was."""
    by_kind: dict[str, list[Line]] = {}
    for line in sorted(alert.lines, key=_urgency):
        by_kind.setdefault(line.kind, []).append(line)
    sums = [_sum_of(kind, lines) for kind, lines in by_kind.items()]
    parts = ["\n".join([_sum_of(kind, lines), *_named(lines)]) for kind, lines in by_kind.items()]
    if alert.others:
        parts.append(f"And {alert.others} more that are not listed.")
    more = f", and more ({len(sums) - 1})" if len(sums) > 1 else ""
    return Message(f"{place}: {sums[0] if sums else 'trouble'}{more}", "\n\n".join(parts))


def _urgency(line: Line) -> tuple[int, int, str]:
    kinds = list(NoticeKind)
    rank = kinds.index(NoticeKind(line.kind)) if line.kind in kinds else len(kinds)
    return rank, -line.count, line.subject


def _sum_of(kind: str, lines: Sequence[Line]) -> str:
    number = len(lines)
    match kind:
        case NoticeKind.SUBSCRIPTION_DISABLED:
            return f"{_many(number, 'subscription')} disabled"
        case NoticeKind.DELIVERY_DEAD:
            dead = sum(line.count for line in lines)
            deliveries = "1 dead delivery" if dead == 1 else f"{dead} dead deliveries"
            return f"{deliveries} of {_many(number, 'subscription')}"
        case NoticeKind.SUBSCRIPTION_FAILING:
            return f"{_many(number, 'subscription')} failing"
        case NoticeKind.DLQ_GROWING:
            return f"Dead letters become many for {_many(number, 'tenant')}"
        case NoticeKind.ENDPOINT_REJECTING:
            return f"{_many(number, 'endpoint')} refusing most requests"
    return f"{kind}: {number}"


def _named(lines: Sequence[Line]) -> list[str]:
    shown = [_line(line) for line in lines[:MOST_SHOWN]]
    left = len(lines) - len(shown)
    return [*shown, f"- and {left} more"] if left else shown


def _line(line: Line) -> str:
    whose = "" if line.kind == NoticeKind.DLQ_GROWING else f" (tenant {_plain(line.tenant)})"
    times = f": {line.count} times" if line.count > 1 else ""
    why = f", {_plain(line.reason)}" if line.reason else ""
    return f"- {_plain(line.subject)}{whose}{times}{why}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _plain(text: str) -> str:
    """A text that cannot break out of its line."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:200])
