"""The event types that are known, and what their data must be. Pure: what was stored in, a verdict out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from kanca.bodies import MAX_DEPTH, Unreadable, read_json
from kanca.errors import InvalidEvent, InvalidInput
from kanca.outbound.schemas import DataSchema, Misfit
from kanca.storage.event_types import EventType

UNKNOWN_TYPE = "unknown_event_type"
PAYLOAD_INVALID = "payload_invalid"


class EventCatalogue:
    """What may be published: the types as they were when this was made."""

    def __init__(self, types: Iterable[EventType] = (), *, is_closed: bool = False) -> None:
        """``is_closed``: no event of a type that is not among them may be published."""
        self._types = {each.name: each for each in types}
        self._schemas: dict[str, DataSchema] = {}
        self._is_closed = is_closed

    def check(self, event_type: str, data: bytes) -> None:
        """Refuse data that must not be published. ``data``: JSON.

        Raises InvalidEvent, with ``reason``: ``unknown_event_type`` where the catalogue is closed, or
        ``payload_invalid`` where the type's schema is enforced, with ``problems`` that say where and what.
        """
        known = self._types.get(event_type)
        if known is None:
            if self._is_closed:
                raise InvalidEvent(
                    f"There is no event type {event_type[:64]!a} in the catalogue", reason=UNKNOWN_TYPE
                )
            return
        if known.is_enforced and known.schema is not None:
            misfits = self._misfits(known, data)
            if misfits:
                raise misfit_error(InvalidEvent, f"The payload is not what {known.name} carries", misfits)

    def example_of(self, event_type: str) -> Any:
        """Data of such an event, where the catalogue has an example; None where it has none."""
        known = self._types.get(event_type)
        return None if known is None or known.example is None else json.loads(known.example)

    def _misfits(self, known: EventType, data: bytes) -> list[Misfit]:
        try:
            schema = self._schemas.get(known.name)
            if schema is None:
                schema = self._schemas[known.name] = DataSchema(json.loads(known.schema or "true"))
            return schema.misfits(read_json(data, max_depth=MAX_DEPTH))
        except Unreadable as error:
            return [Misfit("", error.detail)]
        except InvalidInput as error:  # it was stored by a version that took it
            return [Misfit("", f"cannot be checked: {error.detail}")]


def misfit_error(kind: type[InvalidInput], what: str, misfits: list[Misfit]) -> InvalidInput:
    """The error for data that do not fit: ``what`` is wrong, and in ``problems`` where."""
    first = misfits[0]
    where = f"at {first.location}: " if first.location else ""
    problems = [{"location": misfit.location, "message": misfit.message} for misfit in misfits]
    return kind(f"{what}; {where}{first.message}", reason=PAYLOAD_INVALID, problems=problems)


def check_event_type(name: str, schema: Any, example: Any, *, is_enforced: bool) -> None:
    """Refuse what the catalogue does not take: ``schema`` and ``example`` are values as JSON has them, or None.

    Raises InvalidInput: for what is no schema, or none whose checking is bounded; for an example that does not fit it;
    and for a type that is enforced without one.
    """
    if schema is None:
        if is_enforced:
            raise InvalidInput(f"{name} cannot be enforced: it has no schema")
        return
    checked = DataSchema(schema)
    misfits = [] if example is None else checked.misfits(example)
    if misfits:
        raise misfit_error(InvalidInput, "The example does not fit the schema", misfits)
