"""From host names to addresses: the system's resolver, in threads of its own.

Looking a name up may block for many seconds. asyncio's own threads also run other people's functions, so that a few
names with dead name servers would stop those, and those all look-ups.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

Resolve: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""The addresses of a host name, as texts. Raises OSError when there are none."""

_THREADS = 32


class SystemResolver:
    """The resolver of the operating system."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="kanca-dns")

    async def __call__(self, host: str) -> Sequence[str]:
        """The addresses of ``host``, in the order of the system's preference. Raises OSError when there are none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _addresses, host)
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """Start no further look-ups; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str) -> list[str]:
    entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in entries]


class ConnectorResolver(AbstractResolver):
    """A ``Resolve`` in the form that aiohttp's connector takes."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of ``host``. Raises OSError when there are none."""
        results = [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in map(ip_address, await self._resolve(host))
        ]
        results = [result for result in results if family in (socket.AF_UNSPEC, result["family"])]
        if not results:
            raise OSError("the name has no addresses")
        return results

    async def close(self) -> None:
        """Nothing is held."""
