"""Handshakes: what a provider asks of an address before it sends there. They are answered, and never become events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from kanca.errors import DatabaseUnavailable, EgressError
from kanca.ingest.arrival import Arrival
from kanca.ingest.ports import Store
from kanca.ingest.proof import secrets_of
from kanca.ingest.public_documents import Get
from kanca.ingest.refusal import Refusal
from kanca.ingest.request import Said
from kanca.providers import HandshakeReply, Handshakes

log = structlog.get_logger(__name__)

PAIRING_LASTS = timedelta(days=1)
"""How long after it was made, or last changed, an endpoint without a secret takes the one that its provider brings."""

_NOT_CONFIRMED = Refusal("handshake_failed")
_NO_DATABASE = Refusal("database_unavailable")
_NO_HANDSHAKE = "the request is none of the provider's handshakes, or does not prove that it may ask"


class Handshaking:
    """Answers the handshakes of all endpoints."""

    def __init__(self, store: Store, get: Get, refresh: Callable[[], Awaitable[object]]) -> None:
        """``refresh`` looks for changed endpoints."""
        self._store = store
        self._get = get
        self._refresh = refresh

    async def answer_unproven(
        self, arrival: Arrival, handshakes: Handshakes, now: float
    ) -> Said | Refusal | None:
        """The answer to a handshake that no secret of the endpoint proves; None when the request is no such one."""
        assert arrival.signed is not None  # noqa: S101 - set once the body is there; mypy does not know
        reply = handshakes.answer_unproven(arrival.signed, secrets_of(arrival, now), now)
        return None if reply is None else await self._answer(arrival, reply, now)

    def why_none(self, arrival: Arrival, handshakes: Handshakes, now: float) -> str:
        """Why a request by a method that only handshakes come by is none of them, without anything that it says."""
        assert arrival.signed is not None  # noqa: S101 - as above
        miss = handshakes.near_miss(arrival.signed, secrets_of(arrival, now))
        return _NO_HANDSHAKE if miss is None else f"the request is nearly the provider's handshake {miss}"

    async def answer_proven(
        self, arrival: Arrival, handshakes: Handshakes, now: float
    ) -> Said | Refusal | None:
        """The answer to a handshake that was verified; None when the request is a webhook."""
        assert arrival.signed is not None  # noqa: S101 - as above
        reply = handshakes.answer_proven(arrival.signed, secrets_of(arrival, now), now)
        return None if reply is None else await self._answer(arrival, reply, now)

    async def _answer(self, arrival: Arrival, reply: HandshakeReply, now: float) -> Said | Refusal:
        if reply.store_secret is not None:
            refusal = await self._pair(arrival, reply.store_secret, now)
            if refusal is not None:
                return refusal
        if reply.visit is not None and not await self._is_confirmed(reply.visit):
            return _NOT_CONFIRMED
        if reply.store_secret is not None or reply.visit is not None:
            log.info("handshake", webhook_id=arrival.endpoint.webhook_id, handshake=reply.name)
        headers = tuple((name.encode(), value.encode()) for name, value in reply.headers)
        length = () if reply.status == 204 else ((b"content-length", b"%d" % len(reply.body)),)
        return Said(reply.status, headers + length, reply.body)

    async def _pair(self, arrival: Arrival, secret: str, now: float) -> Refusal | None:
        """Store the secret that the provider brings, as the endpoint's first; why not, where it is not stored."""
        endpoint = arrival.endpoint
        if secret in secrets_of(arrival, now):
            return None  # the provider asks again, since our answer was lost
        if endpoint.has_secret or arrival.is_test:
            return _unpaired(arrival, "a secret is brought, but the endpoint has one already")
        if arrival.is_at_slug:
            return _unpaired(arrival, "a secret is brought to the short address, which anybody may guess")
        if now > endpoint.changed_at + PAIRING_LASTS.total_seconds():
            return _unpaired(
                arrival, "a secret is brought, but the endpoint was made or changed too long ago"
            )
        try:
            is_stored = await self._store.set_first_secret(endpoint.webhook_id, secret)
        except DatabaseUnavailable:
            return _NO_DATABASE
        if not is_stored:
            return _unpaired(arrival, "a secret is brought, but the endpoint has one by now")
        await self._refresh()  # what the provider sends next is signed with it, and comes at once
        return None

    async def _is_confirmed(self, address: str) -> bool:
        try:
            status, _ = await self._get(address)
        except EgressError as error:
            log.warning("handshake_not_confirmed", error=error.detail)
            return False
        return 200 <= status < 300


def _unpaired(arrival: Arrival, note: str) -> Refusal:
    return Refusal(arrival.endpoint.unproven, cause="pairing_refused", note=note)
