"""How an event finds the run that waits for it: keys, compared as texts. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from kanca.errors import ExpressionFailed
from kanca.storage.seeking import KEYLESS
from kanca.workflows.config import Cel
from kanca.workflows.values import NotJson, write_json

MAX_KEY_LENGTH = 512
"""A longer key is compared by its hash."""


def rule_of(event_key: Cel | None) -> str:
    """What names a way to make keys: only waits and events of one way can meet, whatever version they are of."""
    if event_key is None:
        return KEYLESS
    return hashlib.sha256(event_key.expression.source.encode()).hexdigest()[:16]


def key_of(expression: Cel | None, scope: Mapping[str, Any]) -> str:
    """The key of an event or a run: a text as it is, a number or a truth value as JSON writes it.

    Raises ExpressionFailed, also when it is anything else, or an empty text: that would meet what it is not meant for.
    """
    if expression is None:
        return KEYLESS
    value = expression.expression.evaluate(scope)
    if isinstance(value, bool | int | float):
        try:
            value = write_json(value).decode()
        except NotJson:
            value = None
    if not isinstance(value, str) or not value:
        raise ExpressionFailed("a key must be a text that is not empty, or a number", reason="type_mismatch")
    if len(value) > MAX_KEY_LENGTH or "\x00" in value:
        return "sha256:" + hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
    return value
