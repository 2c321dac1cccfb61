from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from kanca.errors import InvalidEvent, InvalidInput
from kanca.outbound.catalogue import EventCatalogue, check_event_type
from kanca.storage.event_types import EventType

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}}


def a_type(name: str = "order.created", **values: Any) -> EventType:
    fields: dict[str, Any] = {
        "description": "",
        "schema": json.dumps(SCHEMA),
        "example": None,
        "is_enforced": True,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return EventType(name=name, **fields | values)


def test_data_that_do_not_fit_an_enforced_schema_are_refused_with_the_place() -> None:
    catalogue = EventCatalogue([a_type()])

    with pytest.raises(InvalidEvent, match=r"order\.created carries; at /id:") as refused:
        catalogue.check("order.created", b'{"id":"4711"}')

    assert refused.value.facts["reason"] == "payload_invalid"
    [problem] = refused.value.facts["problems"]
    assert problem["location"] == "/id"
    assert "4711" not in problem["message"]
    catalogue.check("order.created", b'{"id":4711}')


def test_a_schema_that_is_not_enforced_only_says_what_is_meant() -> None:
    EventCatalogue([a_type(is_enforced=False)]).check("order.created", b'{"id":"4711"}')


def test_unknown_types_are_refused_only_where_the_catalogue_is_closed() -> None:
    EventCatalogue([a_type()]).check("order.deleted", b"{}")
    with pytest.raises(InvalidEvent, match=r"no event type 'order\.deleted'") as refused:
        EventCatalogue([a_type()], is_closed=True).check("order.deleted", b"{}")
    assert refused.value.facts == {"reason": "unknown_event_type"}


def test_what_cannot_be_checked_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="cannot be checked"):
        EventCatalogue([a_type(schema='{"$ref":"#"}')]).check("order.created", b"{}")
    with pytest.raises(InvalidEvent, match="not valid JSON"):
        EventCatalogue([a_type()]).check("order.created", b"{")


def test_a_type_may_have_an_example() -> None:
    catalogue = EventCatalogue([a_type(example='{"id":1}'), a_type("other")])

    assert catalogue.example_of("order.created") == {"id": 1}
    assert catalogue.example_of("other") is None
    assert catalogue.example_of("unknown") is None


def test_an_example_must_fit_its_schema() -> None:
    check_event_type("order.created", SCHEMA, {"id": 1}, is_enforced=True)
    check_event_type("order.created", None, {"id": "1"}, is_enforced=False)
    with pytest.raises(InvalidInput, match="The example does not fit the schema; at /id:"):
        check_event_type("order.created", SCHEMA, {"id": "1"}, is_enforced=False)


def test_only_what_has_a_schema_can_be_enforced() -> None:
    with pytest.raises(InvalidInput, match="it has no schema"):
        check_event_type("order.created", None, None, is_enforced=True)
