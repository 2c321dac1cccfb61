"""Where management requests come from, told as ingest tells it of webhooks."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import Scope

from kanca.api.arrival import Arrival
from kanca.ingest.client import Proxies


class Arrivals:
    """Tells where requests come from, believing trusted proxies and nobody else."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        """``trusted_proxies`` are addresses and CIDR ranges. Raises ValueError."""
        self._proxies = Proxies(trusted_proxies)

    def __call__(self, scope: Scope) -> Arrival:
        """Where a request comes from."""
        peer = scope.get("client")
        address, headers = peer[0] if peer else "", dict(scope["headers"])
        return Arrival(
            client=self._proxies.client_of(address, headers),
            is_https=self._proxies.is_https(scope.get("scheme", "http"), address, headers),
        )
