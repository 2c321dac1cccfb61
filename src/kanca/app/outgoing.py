"""How Kanca's processes reach others: workers for what they do, gateways for what signatures are checked with."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from kanca import __version__
from kanca.settings import Settings

if TYPE_CHECKING:
    from kanca.egress import EgressClient, EgressGuard

TIMEOUT = timedelta(seconds=5)
MAX_BYTES = 256 * 1024


def egress_guard(settings: Settings) -> EgressGuard:
    """What outgoing requests may reach. Raises InvalidSetting."""
    from kanca.egress import EgressGuard  # noqa: PLC0415 - takes 0.3 s to load

    return EgressGuard(settings.egress_allow, settings.egress_ports)


def egress_client(settings: Settings) -> EgressClient:
    """The client that a process sends with, and that reaches what the settings allow. Raises InvalidSetting."""
    from kanca.egress import EgressClient, read_proxy  # noqa: PLC0415 - as above

    proxy = settings.egress_proxy
    return EgressClient(
        egress_guard(settings),
        user_agent=f"Kanca/{__version__}",
        proxy=None if proxy is None else read_proxy(proxy.get_secret_value()),
    )


class Outgoing:
    """How a gateway reaches providers and receivers. Opened at its first request: most gateways never make one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: EgressClient | None = None
        self._open = AsyncExitStack()

    async def get(self, url: str) -> tuple[int, bytes]:
        """Send a GET and give status and body, cut at 256 KB. Raises EgressError."""
        client = await self.client()
        response = await client.request("GET", url, timeout=TIMEOUT, max_response_bytes=MAX_BYTES)
        return response.status, response.body

    async def client(self) -> EgressClient:
        """The client of this process. Raises InvalidSetting."""
        if self._client is None:
            self._client = await self._open.enter_async_context(egress_client(self._settings))
        return self._client

    async def close(self) -> None:
        """Close what was opened."""
        await self._open.aclose()
