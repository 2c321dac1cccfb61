"""Whether the filter of a subscription lets an event through, where nobody waits for the reason why not."""

from __future__ import annotations

from functools import lru_cache

from kanca.domain.event import StoredEvent
from kanca.domain.subscription import Subscription
from kanca.errors import ExpressionFailed, InvalidExpression
from kanca.expressions.filtering import Filter


class Filters:
    """The filters of subscriptions, each compiled once."""

    def __init__(self, most: int = 1_000) -> None:
        self._compiled = lru_cache(maxsize=most)(Filter)

    def __call__(self, subscription: Subscription, event: StoredEvent) -> bool:
        """Whether the event is for the subscription. One that its filter fails for is not."""
        source = subscription.config.filter
        if source is None:
            return True
        try:
            return self._compiled(source).lets_through(event)
        except (ExpressionFailed, InvalidExpression):
            return False
