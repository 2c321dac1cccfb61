"""Requests as they arrive, and specs of one's own, with only what a test cares about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kanca.providers import ProviderSpec, SignedRequest, parse_spec, sign

NOW = 1_700_000_000.0


def arriving(
    headers: Mapping[str, str], body: bytes = b"{}", *, url: str = "", method: str = "POST"
) -> SignedRequest:
    return SignedRequest(
        method, url, {name.lower().encode(): value.encode() for name, value in headers.items()}, body
    )


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
