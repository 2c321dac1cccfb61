"""How a gateway reaches providers: for the certificates and keys that their signatures are checked with."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from kanca import __version__

if TYPE_CHECKING:
    from kanca.egress import EgressClient

TIMEOUT = timedelta(seconds=5)
MAX_BYTES = 256 * 1024


class Outgoing:
    """Opened at its first request: most gateways never make one, and the client takes 0.3 s to load."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        """``allowed`` are addresses and hosts that may be reached although they are private."""
        self._allowed = allowed
        self._client: EgressClient | None = None
        self._open = AsyncExitStack()

    async def get(self, url: str) -> tuple[int, bytes]:
        """Send a GET and give status and body, cut at 256 KB. Raises EgressError."""
        if self._client is None:
            from kanca.egress import EgressClient, EgressGuard  # noqa: PLC0415 - see above

            client = EgressClient(EgressGuard(self._allowed), user_agent=f"Kanca/{__version__}")
            self._client = await self._open.enter_async_context(client)
        response = await self._client.request("GET", url, timeout=TIMEOUT, max_response_bytes=MAX_BYTES)
        return response.status, response.body

    async def close(self) -> None:
        """Close what was opened."""
        await self._open.aclose()
