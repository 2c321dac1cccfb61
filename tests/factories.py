"""Things as tests need them: valid, and otherwise whatever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kanca.domain.endpoint import Endpoint, EndpointConfig
from kanca.domain.event import NewEvent
from kanca.domain.ids import SUBSCRIPTION, IdFactory, new_webhook_id, show_id
from kanca.domain.status import OutcomeStatus
from kanca.domain.subscription import Subscription, SubscriptionConfig
from kanca.domain.task import Attempt, DeadLetter, Outcome, TaskKind

ids = IdFactory()


def new_event(**values: Any) -> NewEvent:
    """An event about to be accepted; ``values`` replace what does not matter."""
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "id": ids.new(),
        "endpoint": 100,
        "tenant": "default",
        "type": "order.created",
        "received_at": now,
        "source_event_id": None,
        "correlation_id": "cor-1",
        "request": b'{"method":"POST"}',
        "body": b'{"id":1}',
        "dedupe_key": None,
        "dedupe_until": None,
    } | values
    if fields["dedupe_key"] is not None and fields["dedupe_until"] is None:
        fields["dedupe_until"] = now + timedelta(days=7)
    return NewEvent(**fields)


def new_endpoint(**values: Any) -> Endpoint:
    """An endpoint about to be created."""
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "number": 0,
        "webhook_id": new_webhook_id(),
        "name": "Orders",
        "slug": None,
        "provider": "generic",
        "tenant": "default",
        "workflow_id": None,
        "node_id": None,
        "config": EndpointConfig(),
        "secrets": (),
        "is_active": True,
        "is_paused": False,
        "created_at": now,
        "updated_at": now,
    }
    return Endpoint(**fields | values)


def endpoint_row(number: int, **values: Any) -> dict[str, Any]:
    """A row of the table of endpoints."""
    now = datetime.now(UTC)
    return {
        "number": number,
        "webhook_id": f"wh_{number:024x}",
        "name": "",
        "provider": "generic",
        "tenant": "default",
        "config": "{}",
        "secrets": b"",
        "is_active": True,
        "is_paused": False,
        "created_at": now,
        "updated_at": now,
    } | values


def new_subscription(**values: Any) -> Subscription:
    """A subscription about to be created."""
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "number": 0,
        "id": show_id(SUBSCRIPTION, ids.new()),
        "tenant": "default",
        "name": "Partner",
        "url": "https://partner.example/hooks",
        "events": ("order.*",),
        "sources": (),
        "config": SubscriptionConfig(),
        "secrets": (),
        "is_active": True,
        "is_verified": True,
        "disabled_reason": None,
        "disabled_at": None,
        "created_at": now,
        "updated_at": now,
    }
    return Subscription(**fields | values)


def an_outcome(event: NewEvent, **values: Any) -> Outcome:
    """The only piece of work of ``event`` has succeeded."""
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "event_id": event.id,
        "work": "handler:h",
        "status": OutcomeStatus.SUCCEEDED,
        "works": 1,
        "started_at": now,
        "finished_at": now,
    }
    return Outcome(**fields | values)


def an_attempt(event: NewEvent, **values: Any) -> Attempt:
    """A failed attempt of a handler with ``event``."""
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "id": ids.new(),
        "event_id": event.id,
        "work": "handler:h",
        "call_id": ids.new(),
        "attempt_number": 1,
        "started_at": now,
        "finished_at": now,
        "code": "handler_failed",
        "error": b"{}",
    }
    return Attempt(**fields | values)


def a_dead_letter(event: NewEvent, **values: Any) -> DeadLetter:
    """A handler ran out of attempts with ``event``."""
    fields: dict[str, Any] = {
        "id": ids.new(),
        "kind": TaskKind.CALL,
        "ref": event.id,
        "target": 3,
        "detail": None,
        "order_key": None,
        "event_id": event.id,
        "work": "handler:h",
        "endpoint": event.endpoint,
        "tenant": event.tenant,
        "event_type": event.type,
        "attempts": 5,
        "code": "handler_failed",
        "error": b"{}",
        "failed_at": datetime.now(UTC),
        "body": event.body,
    }
    return DeadLetter(**fields | values)
