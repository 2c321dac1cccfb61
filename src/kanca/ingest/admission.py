"""What can be told of a request before its body: method, HTTPS, address, rate, and what it says of its body."""

from __future__ import annotations

from kanca.bodies import codings_of
from kanca.ingest.arrival import Arrival
from kanca.ingest.body import declared_too_large, too_large
from kanca.ingest.client import Proxies, is_within, rate_limit_key
from kanca.ingest.rate_limit import RateLimiter
from kanca.ingest.refusal import Refusal

_NO_METHOD = Refusal("method_not_allowed")
_NO_HTTPS = Refusal("https_required")
_NO_ADDRESS = Refusal("ip_not_allowed")
_NO_ENCODING = Refusal("unsupported_encoding")


class Admission:
    """Says who may send at all."""

    def __init__(self, proxies: Proxies, limiter: RateLimiter, *, requires_https: bool) -> None:
        self._proxies = proxies
        self._limiter = limiter
        self._requires_https = requires_https

    async def refuse(self, arrival: Arrival) -> Refusal | None:
        """Why the request is not taken; None when it is, so far."""
        method, endpoint = arrival.request.method, arrival.endpoint
        is_known = method in endpoint.allowed_methods or endpoint.asks_by(method, arrival.headers)
        if not is_known and not arrival.is_test:
            return _NO_METHOD
        if not arrival.is_test:
            refusal = self._refuse_origin(arrival)
            limit = arrival.endpoint.rate_limit
            if refusal is None and limit:
                client = rate_limit_key(arrival.client)
                refusal = await self._limiter.refuse(limit, arrival.endpoint.webhook_id, client)
            if refusal is not None:
                return refusal
        encoding = arrival.headers.get(b"content-encoding")
        if encoding and codings_of(encoding) is None:
            return _NO_ENCODING
        limit_bytes = arrival.endpoint.limit_bytes
        return too_large(limit_bytes) if declared_too_large(arrival.headers, limit_bytes) else None

    def _refuse_origin(self, arrival: Arrival) -> Refusal | None:
        request, networks = arrival.request, arrival.endpoint.allowed_networks
        if self._requires_https and not self._proxies.is_https(request.scheme, request.peer, arrival.headers):
            return _NO_HTTPS
        return _NO_ADDRESS if networks and not is_within(arrival.client, networks) else None
