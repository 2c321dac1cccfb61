"""From stored events, with what became of them, to their JSON."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from kanca.api.answers import error_message, stored_json, written_json
from kanca.api.event_models import DeliveriesOfEvent, Event, EventWithWork, FailedAttempt, Work
from kanca.bodies import Kind, Unreadable, event_body
from kanca.domain import endpoint as domain
from kanca.domain.delivery import ADDED_WORK
from kanca.domain.event import StoredEvent
from kanca.domain.expunged import expunged_at
from kanca.domain.ids import ATTEMPT, CALL, DEAD_LETTER, EVENT, RUN, derived_id, show_id
from kanca.domain.status import DeliveryStatus, EventStatus, OutcomeStatus
from kanca.domain.task import Attempt, Outcome
from kanca.storage.endpoints import EndpointName
from kanca.storage.event_list import EventWithOutcomes

LISTED_PAYLOAD_BYTES = 64 * 1024
"""Larger bodies are left out of lists."""
SHOWN_PAYLOAD_BYTES = 4 * 1024 * 1024
"""Larger bodies are given by their own route only."""


def show_event(found: EventWithOutcomes, endpoint: EndpointName | None) -> Event:
    """The event as lists show it."""
    return Event(**_fields(found, endpoint, LISTED_PAYLOAD_BYTES))


def show_event_with_work(
    found: EventWithOutcomes, endpoint: EndpointName | None, deliveries: Mapping[DeliveryStatus, int]
) -> EventWithWork:
    """The event with its work, and how many deliveries of it there are."""
    return EventWithWork(
        **_fields(found, endpoint, SHOWN_PAYLOAD_BYTES),
        work=[_work(outcome) for outcome in found.outcomes if outcome.work != ADDED_WORK],
        deliveries=_deliveries(found, deliveries),
        failed_attempts=[show_attempt(attempt) for attempt in found.attempts],
    )


def payload_fields(event: StoredEvent, *, is_omitted: bool) -> dict[str, Any]:
    """What the event said, unless it was expunged or ``is_omitted``: as JSON, or its bytes in base64."""
    gone_at = expunged_at(event.request)
    is_shown = not is_omitted and gone_at is None
    payload = _payload(event) if is_shown else None
    return {
        "payload": payload,
        "body_base64": b64encode(event.body).decode() if is_shown and payload is None else None,
        "is_payload_omitted": is_omitted,
        "expunged_at": gone_at,
    }


def _payload(event: StoredEvent) -> Any:
    """What the body says; None for what is binary or cannot be read."""
    try:
        body = event_body(event)
    except Unreadable:
        return None
    payload = stored_json(event.body) if body.kind is Kind.JSON else None
    return written_json(body.document) if payload is None and body.document is not None else payload


def _fields(found: EventWithOutcomes, endpoint: EndpointName | None, payload_limit: int) -> dict[str, Any]:
    event = found.event
    request = msgspec.json.decode(event.request)
    ended = [outcome for outcome in found.outcomes if outcome.status.is_end]
    return {
        "id": show_id(EVENT, event.id),
        "webhook_id": endpoint.webhook_id if endpoint else None,
        "endpoint_name": endpoint.name if endpoint else None,
        "provider": endpoint.provider if endpoint else None,
        "tenant": event.tenant,
        "event_type": event.type,
        "source_event_id": event.source_event_id,
        "correlation_id": event.correlation_id,
        **payload_fields(event, is_omitted=len(event.body) > payload_limit),
        "body_bytes": len(event.body),
        "source_ip": request.get("ip"),
        "user_agent": request.get("user_agent"),
        "request_method": request.get("method"),
        "request_path": request.get("path"),
        "request_headers": folded_headers(request.get("headers", ())),
        "is_authenticated": request.get("authenticated", False),
        "is_test": request.get("test", False),
        "is_redacted": request.get("redacted", False),
        **_answered(found, endpoint),
        "execution_time_ms": _execution_ms(ended),
        "received_at": event.received_at,
        "processed_at": _processed_at(found, ended),
        "error_message": _error_of(found, ended),
        "retry_count": _retries(found, ended),
        "status": found.status,
        "reason": _skipped_for(found, ended),
        "replay_of": show_id(EVENT, event.replay_of) if event.replay_of else None,
    }


def folded_headers(headers: Iterable[Sequence[str]]) -> dict[str, str]:
    """Headers by their names, the values of repeated ones after each other."""
    folded: dict[str, str] = {}
    for name, value in headers:
        folded[name] = f"{folded[name]}, {value}" if name in folded else value
    return folded


def _answered(found: EventWithOutcomes, endpoint: EndpointName | None) -> dict[str, Any]:
    """What the sender was answered: it follows from the event, so it is not stored."""
    event = found.event
    if endpoint is None or endpoint.has_own_answer or event.replay_of is not None:
        return {"response_status": None, "response_body": None}
    return {"response_status": 200, "response_body": _answer_body(found, endpoint)}


def _answer_body(found: EventWithOutcomes, endpoint: EndpointName) -> dict[str, Any] | None:
    event = found.event
    shown_id = show_id(EVENT, event.id)
    match endpoint.webhook_id:
        case domain.RECEIVE_WEBHOOK_ID:
            return {
                "status": "accepted",
                "event_id": event.source_event_id,
                "id": shown_id,
                "received_at": event.received_at,
            }
        case domain.RECEIVE_CONTENT_HASH_WEBHOOK_ID:
            return None  # it says the hash, which is not kept
        case domain.RESUME_WEBHOOK_ID:
            return None  # it was a page, if a person used the address
    return {
        "success": True,
        "message": "Webhook accepted",
        "webhook_id": endpoint.webhook_id,
        "event_id": shown_id,
        "status": "accepted",
        "received_at": event.received_at,
        "correlation_id": event.correlation_id,
    }


def _execution_ms(ended: Sequence[Outcome]) -> float | None:
    begun = [outcome.started_at for outcome in ended if outcome.started_at]
    last = _last_end(ended)
    return round((last - min(begun)).total_seconds() * 1000, 3) if begun and last else None


def _deliveries(found: EventWithOutcomes, numbers: Mapping[DeliveryStatus, int]) -> DeliveriesOfEvent:
    by_status = {status.value: numbers.get(status, 0) for status in DeliveryStatus}
    path = f"/api/deliveries?event_id={show_id(EVENT, found.event.id)}"
    return DeliveriesOfEvent(total=sum(by_status.values()), path=path, **by_status)


def _processed_at(found: EventWithOutcomes, ended: Sequence[Outcome]) -> datetime | None:
    if found.status is EventStatus.PENDING:
        return None
    ends = (_last_end(ended), found.deliveries.finished_at)
    return max((moment for moment in ends if moment), default=None)


def _last_end(ended: Sequence[Outcome]) -> datetime | None:
    return max((outcome.finished_at for outcome in ended if outcome.finished_at), default=None)


def _error_of(found: EventWithOutcomes, ended: Sequence[Outcome]) -> str | None:
    """The latest error of what is dead or is still tried."""
    if found.status is EventStatus.PENDING:
        over = {outcome.work for outcome in ended}
        open_errors = [attempt.error for attempt in found.attempts if attempt.work not in over]
        return error_message(open_errors[-1]) if open_errors else None
    for outcome in ended:
        if outcome.status is OutcomeStatus.DEAD:
            errors = [attempt.error for attempt in found.attempts if attempt.work == outcome.work]
            return error_message(errors[-1]) if errors else outcome.reason
    dead = found.deliveries.numbers.get(DeliveryStatus.DEAD, 0)
    return f"{dead} of its deliveries {'is' if dead == 1 else 'are'} dead." if dead else None


def _skipped_for(found: EventWithOutcomes, ended: Sequence[Outcome]) -> str | None:
    """Why nothing was done for the event; None where something was, or still is."""
    if found.status is not EventStatus.SKIPPED:
        return None
    return next((outcome.reason for outcome in ended if outcome.reason), found.deliveries.reason)


def _retries(found: EventWithOutcomes, ended: Sequence[Outcome]) -> int:
    """Retries of the piece of work that had the most."""
    over = {outcome.work for outcome in ended}
    done = [outcome.attempt_number - 1 for outcome in ended]
    going_on = [attempt.attempt_number for attempt in found.attempts if attempt.work not in over]
    return max([0, *done, *going_on])


def _work(outcome: Outcome) -> Work:
    is_dead, is_run = outcome.status is OutcomeStatus.DEAD, outcome.work.startswith("workflow:")
    return Work(
        work=outcome.work,
        status=outcome.status,
        reason=outcome.reason,
        result=stored_json(outcome.result),
        attempt_number=outcome.attempt_number,
        started_at=outcome.started_at,
        finished_at=outcome.finished_at,
        run_id=show_id(RUN, derived_id(outcome.event_id, outcome.work)) if outcome.ref and is_run else None,
        dead_letter_id=show_id(DEAD_LETTER, outcome.ref) if outcome.ref and is_dead else None,
    )


def show_attempt(attempt: Attempt) -> FailedAttempt:
    """The failed attempt as JSON."""
    return FailedAttempt(
        id=show_id(ATTEMPT, attempt.id),
        work=attempt.work,
        call_id=show_id(CALL, attempt.call_id),
        attempt_number=attempt.attempt_number,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        code=attempt.code,
        error=stored_json(attempt.error),
    )
