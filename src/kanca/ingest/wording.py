"""What senders of accepted events and of duplicates are answered: Kanca's own words, or those of the endpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec
import structlog

from kanca.domain.event import NewEvent
from kanca.domain.ids import EVENT, show_id
from kanca.domain.status import EventStatus
from kanca.errors import ExpressionFailed
from kanca.ingest.answers import Original
from kanca.ingest.arrival import Arrival
from kanca.ingest.custom_answer import CustomAnswer
from kanca.ingest.reading import Reading
from kanca.ingest.redaction import REDACTED
from kanca.ingest.request import Said
from kanca.telemetry.metrics import ANSWER_FAILURES

log = structlog.get_logger(__name__)

LOG_EVERY = timedelta(minutes=1)
"""How often the log hears of an endpoint whose answers fail."""
MOST_REMEMBERED = 10_000

Scope = Callable[[], Mapping[str, Any]]


class Wording:
    """Words the answers of one process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` gives Unix seconds."""
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    def accepted(self, arrival: Arrival, event: NewEvent, reading: Reading) -> Said:
        """The answer to a new event, which is on disk. Never raises."""
        custom = arrival.endpoint.answer
        if custom is not None and arrival.face.takes_custom:
            said = self._say(custom, arrival, lambda: _scope(arrival, reading, event, None))
            if said is not None:
                return said
        return arrival.face.says(arrival.face.accepted(arrival.endpoint, event, reading))

    def repeated(self, arrival: Arrival, event: NewEvent, original: Original, reading: Reading) -> Said:
        """The answer to a duplicate of ``original``. Never raises."""
        custom = arrival.endpoint.answer
        if custom is not None and arrival.face.takes_custom:
            said = self._say(custom, arrival, lambda: _scope(arrival, reading, event, original))
            if said is not None:
                return said
        return arrival.face.says(arrival.face.repeated(arrival.endpoint, original, reading))

    def _say(self, custom: CustomAnswer, arrival: Arrival, scope: Scope) -> Said | None:
        """The endpoint's answer; None when it fails, which must not make an error of an event that is on disk."""
        if custom.static is not None:
            return custom.static
        try:
            return custom.say(scope())
        except ExpressionFailed as error:
            self._failed(arrival.endpoint.webhook_id, error.detail)
        except Exception as error:  # noqa: BLE001 - a mistake of ours; the sender must not be turned away for it
            self._failed(arrival.endpoint.webhook_id, type(error).__name__)
        return None

    def _failed(self, webhook_id: str, detail: str) -> None:
        ANSWER_FAILURES.inc()
        now = self._clock()
        last = self._logged_at.get(webhook_id)
        if last is not None and 0 <= now - last < LOG_EVERY.total_seconds():
            return
        if len(self._logged_at) >= MOST_REMEMBERED:
            self._logged_at.clear()
        self._logged_at[webhook_id] = now
        log.warning("custom_answer_failed", webhook_id=webhook_id, detail=detail)


def _scope(arrival: Arrival, reading: Reading, event: NewEvent, original: Original | None) -> dict[str, Any]:
    """The values of ``ANSWER_NAMES``. Of a duplicate, what identifies the event is the original's."""
    known = original or event
    return {
        "event": {
            "id": show_id(EVENT, known.id),
            "type": event.type,
            "data": reading.data,
            "headers": _headers(arrival),
            "source_event_id": event.source_event_id,
            "correlation_id": known.correlation_id,
            "received_at": known.received_at.isoformat(),
            "status": original.status.value if original else EventStatus.PENDING.value,
            "result": msgspec.json.decode(original.result) if original else None,
        },
        "endpoint": {"id": arrival.endpoint.webhook_id},
        "status": "duplicate" if original else "accepted",
    }


def _headers(arrival: Arrival) -> dict[str, str]:
    """The headers as the event keeps them: what carries a secret is left out."""
    hidden = arrival.endpoint.token_headers
    return {
        name.decode("latin-1"): REDACTED if name in hidden else value.decode("latin-1")
        for name, value in arrival.headers.items()
    }
