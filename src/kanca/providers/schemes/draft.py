"""A request that is about to be signed."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from kanca.providers.verdict import SignedRequest


class Draft(Struct, frozen=True):
    """What a provider would send: unsigned at first, and as it will arrive once it was signed."""

    url: str
    headers: dict[str, str]
    body: bytes
    now: float
    """Unix seconds."""
    delivery_id: str
    method: str = "POST"

    def with_headers(self, headers: dict[str, str]) -> Draft:
        """The draft with these headers too."""
        return replace(self, headers={**self.headers, **headers})

    def request(self) -> SignedRequest:
        """The request as it will arrive."""
        headers = {name.lower().encode(): value.encode() for name, value in self.headers.items()}
        return SignedRequest(self.method, self.url, headers, self.body)
