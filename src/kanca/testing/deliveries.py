"""Deliveries as Kanca sends them, for tests of those who receive them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kanca import __version__
from kanca.domain.event import as_stored
from kanca.domain.ids import IdFactory
from kanca.domain.subscription_config import read_subscription_config
from kanca.outbound.keys import check_secret
from kanca.outbound.message import envelope, headers_for
from kanca.outbound.publishing import published_event

_ids = IdFactory()


@dataclass(frozen=True, slots=True)
class SignedDelivery:
    """What your server would be sent, as a ``POST``."""

    headers: dict[str, str]
    body: bytes


def signed_delivery(
    event_type: str,
    data: Any,
    *,
    secret: str,
    event_id: str | None = None,
    sent_at: datetime | None = None,
    **config: Any,
) -> SignedDelivery:
    """A delivery of an event, signed with the subscription's ``secret``.

    ``sent_at`` (default: now) is what ``webhook-timestamp`` says; receivers refuse old ones. ``config`` is what else
    the subscription says of it: ``signature``, ``signature_header``, ``headers``. Raises InvalidSecret, InvalidEvent,
    PayloadTooLarge, InvalidConfig.
    """
    moment = sent_at or datetime.now(UTC)
    options = read_subscription_config(config)
    check_secret(options.signature, secret)
    event = as_stored(
        published_event(_ids.new(), moment, event_type=event_type, payload=data, by="test", event_id=event_id)
    )
    body = envelope(event)
    headers = headers_for(options, event, body, moment, [secret])
    return SignedDelivery({"User-Agent": f"Kanca/{__version__}"} | headers, body)
