"""Attempts of deliveries that a gateway makes itself, because a person asked for a test or a challenge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kanca.app.outgoing import Outgoing
from kanca.domain.credential import Credentials, additions, secrets_of
from kanca.domain.event import StoredEvent
from kanca.domain.subscription import Subscription
from kanca.outbound.sending import Nothing, Sender, Sent


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
            self._sender = Sender(http, _Stored(self._credentials), _now, timeout=self._timeout)
        return await self._sender.attempt(subscription, event, body)


class _Stored:
    """Credentials as they are stored."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def of(self, name: str | None) -> Nothing:
        if name is None:
            return Nothing()
        credential = await self._credentials.get(name)
        added = additions(credential)
        return Nothing(added.headers, added.query, secrets=tuple(secrets_of(credential)))

    def forget(self, name: str) -> None:
        """Nothing is kept."""


def _now() -> datetime:
    return datetime.now(UTC)
