"""A request that is about to be signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kanca.providers.verdict import SignedRequest


class Draft(NamedTuple):
    """What a provider would send, before it is signed."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    now: float
    """Unix seconds."""
    delivery_id: str

    def request_with(self, proof: Mapping[str, str]) -> SignedRequest:
        """The request as it will arrive with these headers added."""
        headers = {name.lower().encode(): value.encode() for name, value in {**self.headers, **proof}.items()}
        return SignedRequest("POST", self.url, headers, self.body)
