"""Order keys: events of one handler with the same key are handled one after the other, in the order of arrival."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kanca.domain.task import order_key_of
from kanca.handlers.event import Event
from kanca.providers.locations import find, parse_path, text_of


def key_by_path(path: str, data: Any) -> int | None:
    """The key at ``path`` in the data; None (without order) where there is neither a string nor an integer."""
    text = text_of(find(data, parse_path(path)))
    return None if text is None else order_key_of(text)


def key_by_function(order_by: Callable[[Event[Any]], str | int | None], event: Event[Any]) -> int | None:
    """The key that the app's function gives; None is without order. Raises whatever the function raises."""
    value = order_by(event)
    return None if value is None else order_key_of(str(value))
