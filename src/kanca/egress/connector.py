"""Where connections are made: the one place that reaches into aiohttp's connector.

The guard is asked where sockets are made, or the proxy is asked for a tunnel, with the very address that is about to be
connected to. aiohttp has no hook between TCP and TLS, so that the method that does both is replaced here.
"""

from __future__ import annotations

import asyncio
import functools
import math
import socket
import ssl
import time
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, cast

import aiohttp
from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp.client_proto import ResponseHandler

from kanca.egress.addresses import Address
from kanca.egress.attempt import Attempt, current
from kanca.egress.failures import TunnelFailed
from kanca.egress.guard import EgressGuard
from kanca.egress.proxy import EgressProxy
from kanca.egress.resolver import ConnectorResolver, Resolve
from kanca.egress.tunnels import open_tunnel

NEXT_ADDRESS_AFTER_SECONDS = 0.25
"""RFC 8305: how long an address has to answer before the next one is tried beside it."""


class Handler(ResponseHandler):
    """One connection, which knows whom it was made to: through a proxy the socket does not."""

    address: str | None = None


class GuardedConnector(aiohttp.TCPConnector):
    """Connects to what the guard allows, directly or through a proxy, and notes in the attempt how that goes."""

    def __init__(
        self,
        guard: EgressGuard,
        resolve: Resolve,
        *,
        keep_addresses: timedelta,
        tls: ssl.SSLContext | None,
        proxy: EgressProxy | None,
    ) -> None:
        # No limit on connections here: who sends bounds what it has in flight, and a pool that hanging receivers can
        # fill would make the others wait.
        super().__init__(
            limit=0,
            use_dns_cache=bool(keep_addresses),
            ttl_dns_cache=math.ceil(keep_addresses.total_seconds()),
            resolver=ConnectorResolver(self._timed_resolve),
            ssl=tls or True,
        )
        self._factory = cast(functools.partial[ResponseHandler], functools.partial(Handler, loop=self._loop))
        self._guard = guard
        self._resolve = resolve
        self._proxy = proxy

    async def _create_connection(self, req: aiohttp.ClientRequest, traces: Any, timeout: Any) -> Any:
        """As the base class, within the attempt's limit. Raises TimeoutError."""
        attempt = current.get()
        attempt.phase = "dns"
        try:
            async with asyncio.timeout(attempt.connect_limit_seconds) as limit:
                return await super()._create_connection(req, traces, timeout)
        finally:
            attempt.is_over_connect_limit = limit.expired()

    async def _wrap_create_connection(
        self,
        *args: Any,
        addr_infos: list[AddrInfoType],
        req: aiohttp.ClientRequest,
        timeout: Any,
        client_error: type[Exception] = aiohttp.ClientConnectorError,
        **kwargs: Any,
    ) -> Any:
        attempt = current.get()
        try:
            address, opened = await self._opened(attempt, addr_infos)
        except OSError as error:
            raise client_error(req.connection_key, error) from error
        attempt.connected_at = time.perf_counter()
        has_tls = kwargs.get("ssl") is not None
        if has_tls:
            attempt.phase = "tls"
        transport, handler = await self._wrap_existing_connection(
            *args, req=req, timeout=timeout, client_error=client_error, sock=opened, **kwargs
        )
        if has_tls:
            attempt.tls_seconds = time.perf_counter() - attempt.connected_at
        cast(Handler, handler).address = address  # made by the factory above
        return transport, handler

    async def _opened(
        self, attempt: Attempt, addr_infos: Sequence[AddrInfoType]
    ) -> tuple[str, socket.socket]:
        """A connection to one of the addresses, and to which. Raises OSError and TunnelFailed."""
        if self._proxy is not None:
            return await self._tunnelled(attempt, self._proxy, addr_infos)
        opened = await start_connection(
            addr_infos,
            happy_eyeballs_delay=NEXT_ADDRESS_AFTER_SECONDS,
            loop=self._loop,
            socket_factory=self._socket,
        )
        return str(opened.getpeername()[0]), opened

    def _socket(self, info: AddrInfoType) -> socket.socket:
        """The socket for a connection that is about to be opened. Raises OSError when its address is refused."""
        family, kind, protocol, _, destination = info
        self._check(current.get(), destination[0])
        return socket.socket(family, kind, protocol)

    async def _tunnelled(
        self, attempt: Attempt, proxy: EgressProxy, addr_infos: Sequence[AddrInfoType]
    ) -> tuple[str, socket.socket]:
        failed: Exception | None = None
        for *_, destination in addr_infos:
            try:
                address = self._check(attempt, destination[0])
                opened = await open_tunnel(
                    proxy, self._resolve, address, destination[1], attempt.connect_limit_seconds
                )
            except PermissionError as error:
                failed = failed or error
            except TunnelFailed as error:
                if error.cause == "proxy":
                    raise
                failed = error
            else:
                return str(address), opened
        raise failed or OSError("there is no address to connect to")

    def _check(self, attempt: Attempt, host: str) -> Address:
        """The address that is connected to next. Raises OSError when it is refused."""
        if attempt.connecting_since is None:
            attempt.connecting_since = time.perf_counter()
        attempt.phase = "connect"
        address = ip_address(host)
        reason = self._guard.is_refused(address, attempt.host)
        if reason is not None:
            attempt.refused.append((address, reason))
            raise PermissionError("refused by the egress guard")
        attempt.has_tried = True
        return address

    async def _timed_resolve(self, host: str) -> Sequence[str]:
        attempt = current.get()
        started = time.perf_counter()
        try:
            return await self._resolve(host)
        finally:
            attempt.dns_seconds = time.perf_counter() - started
