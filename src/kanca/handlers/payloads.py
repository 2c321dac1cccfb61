"""The data of an event, read as a handler wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from kanca.bodies import event_data
from kanca.domain.event import StoredEvent

MOST_PROBLEMS = 50
"""Validation errors that are kept of one payload."""


class PayloadInvalid(Exception):
    """The data do not fit; ``problems`` say where and why."""

    def __init__(self, problems: list[Mapping[str, Any]]) -> None:
        self.problems = problems
        first = problems[0]
        place = ".".join(str(key) for key in first["loc"])
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{place}: {first['msg']}{more}" if place else f"{first['msg']}{more}")


def read_payload(event: StoredEvent, adapter: TypeAdapter[Any] | None) -> Any:
    """The data of an event, as ``adapter`` reads them (None: as its body says them). Raises PayloadInvalid."""
    data = event_data(event)
    return data if adapter is None else validate(data, adapter)


def validate(data: Any, adapter: TypeAdapter[Any]) -> Any:
    """The data as ``adapter`` reads them. Raises PayloadInvalid."""
    try:
        try:
            # As JSON, not as Python objects: a strict model takes a date from a JSON string, but not from a Python one.
            return adapter.validate_json(to_json(data, inf_nan_mode="constants"))
        except (PydanticSerializationError, RecursionError):  # a lone surrogate
            return adapter.validate_python(data)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        raise PayloadInvalid([dict(problem) for problem in problems[:MOST_PROBLEMS]]) from None
