"""What the configs of endpoints and subscriptions are read with: all keys at once, and values of the usual kinds.

A reader takes a value as JSON gives it, and raises ValueError for what cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from kanca.domain.endpoint import InvalidConfig

Choice = TypeVar("Choice", bound=StrEnum)


def read_values(values: Mapping[str, Any], readers: Mapping[str, Callable[[object], Any]]) -> dict[str, Any]:
    """The values as their readers give them.

    Raises InvalidConfig naming every unknown key, wrong type and impossible value.
    """
    problems = [(key, "unknown key") for key in values if key not in readers]
    read: dict[str, Any] = {}
    for key in readers.keys() & values.keys():
        try:
            read[key] = readers[key](values[key])
        except ValueError as error:
            problems.append((key, str(error)))
    if problems:
        raise InvalidConfig(sorted(problems))
    return read


def boolean(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - one kind of error for all that a value can be
    return value


def whole(lowest: int, highest: int) -> Callable[[object], int]:
    """A reader of whole numbers."""

    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return value

    return read


def one_of(choices: type[Choice]) -> Callable[[object], Choice]:
    """A reader of one of these texts."""

    def read(value: object) -> Choice:
        if not isinstance(value, str) or value not in list(choices):
            raise ValueError(f"must be one of {', '.join(choices)}")
        return choices(value)

    return read
