"""Attempts of work as lines in the log: of handlers, runs and deliveries. Codes, and nothing that was sent or said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from kanca.bodies import trace_of
from kanca.domain.delivery import delivery_id
from kanca.domain.delivery import work_of as work_of_delivery
from kanca.domain.event import StoredEvent
from kanca.domain.ids import CALL, DEAD_LETTER, DELIVERY, EVENT, RUN, show_id
from kanca.domain.status import DeliveryStatus, OutcomeStatus
from kanca.domain.task import Attempt, Completion, Delivery, Outcome, Retry, TaskKind
from kanca.telemetry.lines import ATTEMPT, Lines
from kanca.workers.tally import kind_of

_WELL = frozenset({OutcomeStatus.SUCCEEDED, OutcomeStatus.SKIPPED})
NameOf = Callable[[int], str | None]
"""The id of the subscription with a number, where it is known."""


def write_attempts(
    lines: Lines, worker: int | None, event: StoredEvent | None, completion: Completion, name_of: NameOf
) -> None:
    """Write what a completion that was stored tells of attempts, if somebody wants to know."""
    records = completion.records
    is_wrong = bool(records.attempts or records.dead_letters)
    if not (lines.are_all or (is_wrong and lines.are_any)):
        return
    about = _about(worker, event, completion)
    for fields in _attempts(event, completion, name_of):
        lines.write(ATTEMPT, about | fields, is_wrong="code" in fields)


def _attempts(event: StoredEvent | None, completion: Completion, name_of: NameOf) -> Iterator[dict[str, Any]]:
    records = completion.records
    letters = {letter.work: show_id(DEAD_LETTER, letter.id) for letter in records.dead_letters}
    delay = (
        completion.disposition.delay.total_seconds() if isinstance(completion.disposition, Retry) else None
    )
    ended = {outcome.work for outcome in records.outcomes}
    for attempt in records.attempts:
        if attempt.work not in ended:
            yield _failed(attempt, delay)
    for outcome in records.outcomes:
        if outcome.status is OutcomeStatus.EXPANDED:
            continue  # the work is still to be done
        last = next((each for each in reversed(records.attempts) if each.work == outcome.work), None)
        yield _ended(outcome, last, letters.get(outcome.work))
    for delivery in records.deliveries:
        subscription_id = name_of(delivery.subscription)
        letter = letters.get(work_of_delivery(subscription_id)) if subscription_id else None
        yield _delivered(delivery, event, subscription_id, letter)


def _about(worker: int | None, event: StoredEvent | None, completion: Completion) -> dict[str, Any]:
    kind = kind_of(completion)
    about: dict[str, Any] = {"kind": kind.name.lower(), "worker": worker, "task": completion.task.id}
    if kind is TaskKind.RUN:
        runs = completion.records.runs
        about["run_id"] = show_id(RUN, runs[0].id if runs else completion.task.ref)
    if event is not None:
        about |= {
            "event_id": show_id(EVENT, event.id),
            "event_type": event.type,
            "tenant": event.tenant,
            "correlation_id": event.correlation_id,
            "trace_id": trace_of(event).trace_id,
        }
    return about


def _failed(attempt: Attempt, delay_s: float | None) -> dict[str, Any]:
    return {
        "work": attempt.work,
        "call_id": show_id(CALL, attempt.call_id),
        "attempt_number": attempt.attempt_number,
        "result": "failed" if delay_s is None else "retried",
        "code": attempt.code,
        "http_status": _http_status(attempt.error),
        "retry_in_s": None if delay_s is None else round(delay_s, 3),
        "duration_ms": _ms(attempt.started_at, attempt.finished_at),
    }


def _ended(outcome: Outcome, last: Attempt | None, letter_id: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "work": outcome.work,
        "attempt_number": outcome.attempt_number,
        "result": str(outcome.status),
        "reason": outcome.reason,
        "dead_letter_id": letter_id,
        "duration_ms": _ms(outcome.started_at, outcome.finished_at),
    }
    if last is not None:
        fields |= {
            "call_id": show_id(CALL, last.call_id),
            "duration_ms": _ms(last.started_at, last.finished_at),
        }
    return fields if outcome.status in _WELL else fields | {"code": outcome.reason}


def _delivered(
    delivery: Delivery, event: StoredEvent | None, subscription_id: str | None, letter_id: str | None
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "delivery_id": _delivery_id(delivery.event_id, delivery.subscription),
        "subscription_id": subscription_id,
        "attempt_number": delivery.attempts,
        "result": str(delivery.status),
        "reason": delivery.reason,
        "http_status": delivery.response_status,
        "dead_letter_id": letter_id,
        "duration_ms": _ms(delivery.started_at, delivery.finished_at),
        "age_ms": _ms(event.received_at, delivery.finished_at) if event else None,
    }
    return fields | {"code": delivery.reason} if delivery.status is DeliveryStatus.DEAD else fields


class _Answer(msgspec.Struct):
    status: int | None = None


class _Cause(msgspec.Struct):
    attempt: _Answer | None = None
    """Of a delivery."""


def _http_status(error: bytes) -> int | None:
    try:
        found = msgspec.json.decode(error, type=_Cause).attempt
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return None if found is None else found.status


def _delivery_id(event_id: UUID, subscription: int) -> str:
    return show_id(DELIVERY, delivery_id(event_id, subscription))


def _ms(began: datetime | None, ended: datetime | None) -> float | None:
    return None if began is None or ended is None else round((ended - began).total_seconds() * 1000, 3)
