"""Whether anything is done for an event where an endpoint, or a subscription, has a filter."""

from __future__ import annotations

from kanca.domain.event import StoredEvent
from kanca.errors import InvalidExpression
from kanca.expressions.event_scope import stored_event_scope
from kanca.expressions.expression import Expression
from kanca.expressions.uses import compile_filter

FILTERED = "filtered"
"""Why an event is skipped that a filter does not let through."""


class Filter:
    """The filter of an endpoint or a subscription, compiled once."""

    def __init__(self, source: str) -> None:
        """Never raises: what cannot be compiled is the trouble of the events that meet it, not of a whole batch."""
        self._compiled: Expression | InvalidExpression
        try:
            self._compiled = compile_filter(source)
        except InvalidExpression as error:  # it was valid when it was saved, by another version
            self._compiled = error

    def lets_through(self, event: StoredEvent) -> bool:
        """Whether the filter is true for the event. Raises ExpressionFailed, InvalidExpression."""
        if isinstance(self._compiled, InvalidExpression):
            raise InvalidExpression(self._compiled.detail)
        return self._compiled.evaluate_bool({"event": stored_event_scope(event)})
