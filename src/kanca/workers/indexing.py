"""The fields of an event that it can be found by. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from kanca.bodies import Unreadable, event_body
from kanca.domain.event import StoredEvent
from kanca.domain.event_fields import stored_value
from kanca.domain.task import EventField
from kanca.providers.locations import find, parse_path


def fields_of(event: StoredEvent, paths: Sequence[str]) -> tuple[EventField, ...]:
    """What is at the paths into the event's document; nothing for those at which there is no text, number or boolean.

    The path is one that the endpoint's config took.
    """
    try:
        document = event_body(event).document
    except Unreadable:
        return ()
    found = ((path, stored_value(find(document, parse_path(path)))) for path in paths)
    return tuple(EventField(event.id, path, value) for path, value in found if value is not None)
