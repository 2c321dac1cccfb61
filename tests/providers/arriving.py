"""Requests as they arrive, and specs of one's own, with only what a test cares about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kanca.providers import Draft, ProviderSpec, SignedRequest, make_delivery, parse_spec
from kanca.providers import sign as sign_draft

NOW = 1_700_000_000.0


def arriving(
    headers: Mapping[str, str], body: bytes = b"{}", *, url: str = "", method: str = "POST"
) -> SignedRequest:
    return SignedRequest(
        method, url, {name.lower().encode(): value.encode() for name, value in headers.items()}, body
    )


def sign(
    spec: ProviderSpec,
    options: Mapping[str, Any] | None,
    secret: str,
    body: bytes,
    now: float,
    delivery_id: str,
    event_type: str,
    url: str = "",
) -> dict[str, str]:
    """The headers that the provider would send with a body."""
    delivery = make_delivery(
        spec, options, now=now, url=url, event_type=event_type, delivery_id=delivery_id, body=body
    )
    return dict(sign_draft(spec, options, secret, delivery.draft).headers)


def sent(
    spec: ProviderSpec, options: Mapping[str, Any] | None, secret: str, *, now: float, url: str = ""
) -> Draft:
    """A sample as the provider would send it, whole."""
    return sign_draft(spec, options, secret, make_delivery(spec, options, now=now, url=url).draft)


def signed(spec: ProviderSpec, secret: str, body: bytes = b"{}") -> SignedRequest:
    """A request as the provider would send it at ``NOW``."""
    return arriving(sign(spec, None, secret, body, NOW, "dlv-1", "order.created"), body)


def own_spec(signature: Mapping[str, Any], **others: Any) -> ProviderSpec:
    """A spec as a user would write it for a provider of their own."""
    described = {
        "name": "own",
        "title": "Own",
        "summary": "Ours.",
        "label": "confirmed",
        "source": "our wiki",
    }
    return parse_spec({**described, "signatures": [{"scheme": "hmac", **signature}], **others})
