from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from kanca.domain.event import StoredEvent
from kanca.handlers.matching import Arrival, HandlerSpec
from kanca.workers.targets import (
    KnownHandler,
    KnownWorkflow,
    Sender,
    Targets,
    arrival_of,
    find_targets,
    headers_of,
    is_authenticated,
)

EVENT = StoredEvent(
    id=UUID(int=1),
    endpoint=100,
    tenant="acme",
    type="order.created",
    received_at=datetime(2026, 1, 1, tzinfo=UTC),
    source_event_id=None,
    correlation_id="cor",
    request=b'{"headers": [["X-A", "1"]], "authenticated": true, "more": {}}',
    body=b"{}",
    replay_of=None,
)
SENDER = Sender(100, "wh_1", "orders", "stripe", None, None, timedelta(seconds=30), is_paused=False)


def known(number: int, pattern: str) -> KnownHandler:
    return KnownHandler(number, HandlerSpec(name=str(number), pattern=pattern))


def test_an_arrival_says_what_decides() -> None:
    assert arrival_of(EVENT, SENDER) == Arrival("order.created", "acme", "stripe", "wh_1", "orders", True)


def test_a_published_event_has_no_endpoint_and_needs_no_proof() -> None:
    published = replace(EVENT, endpoint=0, request=b"{}")
    assert arrival_of(published, None) == Arrival("order.created", "acme", None, None, None, True)


@pytest.mark.parametrize(
    ("request_", "proven"),
    [
        (b'{"authenticated": true}', True),
        (b'{"authenticated": false}', False),
        (b"{", False),
        (b"\xff", False),
    ],
)
def test_only_what_says_so_is_authenticated(request_: bytes, proven: bool) -> None:
    assert is_authenticated(replace(EVENT, request=request_)) is proven


def test_headers_are_read_when_somebody_looks() -> None:
    assert dict(headers_of(EVENT)) == {"x-a": "1"}
    assert dict(headers_of(replace(EVENT, request=b"{"))) == {}


def test_the_endpoints_workflow_and_every_matching_handler_are_targets() -> None:
    workflow = KnownWorkflow("flow", 3)
    handlers = [known(1, "order.*"), known(2, "payment.*"), known(3, "*")]
    arrival = arrival_of(EVENT, SENDER)
    targets = find_targets(arrival, replace(SENDER, workflow=workflow), handlers)
    assert targets == Targets((handlers[0], handlers[2]), workflow)
    assert targets.works == 3
    assert find_targets(arrival, SENDER, []).works == 0
