"""Attempts of deliveries that a gateway makes itself, because a person asked for a test or a challenge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kanca.app.outgoing import Outgoing
from kanca.domain.credential import Credentials
from kanca.domain.event import StoredEvent
from kanca.domain.subscription import Subscription
from kanca.outbound.authentication import Authentication
from kanca.outbound.sending import Sender, Sent


class SendingNow:
    """Sends as workers do. Nothing is opened before the first attempt."""

    def __init__(self, outgoing: Outgoing, credentials: Credentials, timeout: timedelta) -> None:
        """``timeout`` is for subscriptions that have none of their own."""
        self._outgoing = outgoing
        self._credentials = credentials
        self._timeout = timeout
        self._sender: Sender | None = None

    async def attempt(self, subscription: Subscription, event: StoredEvent, body: bytes, /) -> Sent:
        """POST the body to the subscription once, signed. See ``Sender.attempt``. Raises InvalidSetting."""
        if self._sender is None:
            http = await self._outgoing.client()
            self._sender = Sender(http, Authentication(self._credentials, http), _now, timeout=self._timeout)
        return await self._sender.attempt(subscription, event, body)


def _now() -> datetime:
    return datetime.now(UTC)
