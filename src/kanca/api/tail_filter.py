"""What a tail shows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kanca.domain.patterns import matches
from kanca.domain.status import EventStatus
from kanca.domain.subscription import OPERATIONAL_ENDPOINT
from kanca.errors import ExpressionFailed
from kanca.expressions.event_scope import stored_event_scope
from kanca.expressions.expression import Expression
from kanca.storage.feed import FeedEvent
from kanca.storage.rejections import RejectionAt

Source = Literal["inbound", "published", "operational"]


@dataclass(frozen=True, slots=True)
class TailFilter:
    """What must be so of an event; what is None or empty does not matter."""

    webhook_id: str | None = None
    types: tuple[str, ...] = ()
    """Event types or patterns, one of which must fit."""
    tenant: str | None = None
    provider: str | None = None
    source: Source | None = None
    since: datetime | None = None
    """Received at or after."""
    status: EventStatus | None = None
    """Only how events ended is shown, and of those only what ended so."""
    expression: Expression | None = None

    def wants(self, found: FeedEvent) -> bool:
        """Whether an event fits, but for the expression."""
        event, endpoint = found.event, found.endpoint
        return (
            (self.webhook_id is None or (endpoint is not None and endpoint.webhook_id == self.webhook_id))
            and (not self.types or any(matches(pattern, event.type) for pattern in self.types))
            and (self.tenant is None or event.tenant == self.tenant)
            and (self.provider is None or (endpoint is not None and endpoint.provider == self.provider))
            and (self.source is None or source_of(found) == self.source)
            and (self.since is None or event.received_at >= self.since)
        )

    def wants_content(self, found: FeedEvent) -> bool:
        """Whether the expression is true for an event; one that it fails for does not fit."""
        if self.expression is None:
            return True
        try:
            return self.expression.evaluate_bool({"event": stored_event_scope(found.event)})
        except ExpressionFailed:
            return False

    def wants_rejection(self, found: RejectionAt) -> bool:
        """Whether a refused request fits. It has neither type nor content: nobody read it."""
        return (
            (self.webhook_id is None or found.webhook_id == self.webhook_id)
            and (self.tenant is None or found.tenant == self.tenant)
            and (self.provider is None or found.provider == self.provider)
            and self.source in (None, "inbound")
        )


def source_of(found: FeedEvent) -> Source:
    """Where an event comes from."""
    if found.event.endpoint == OPERATIONAL_ENDPOINT:
        return "operational"
    return "inbound" if found.event.endpoint else "published"
