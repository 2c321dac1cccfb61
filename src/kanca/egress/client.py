"""The HTTP client that every outgoing request of Kanca goes through.

The guard decides where sockets are made, on the very address that is about to be connected to, so nothing can change
between the check and the connection: not DNS, which is not asked again, and not a URL that is an address itself, which
DNS is never asked about. Redirects are never followed, environment proxies and ``.netrc`` are not read, cookies are
not kept. Connections are kept open and used again; one that was checked stays on its address.
"""

from __future__ import annotations

import math
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from kanca.egress.attempt import Attempt, EgressResponse, current
from kanca.egress.failures import failure
from kanca.egress.guard import EgressGuard, refusal
from kanca.egress.headers import checked_headers, joined
from kanca.egress.reading import BadEncoding, read_limited
from kanca.egress.resolver import ConnectorResolver, Resolve, SystemResolver
from kanca.errors import EgressFailed, EgressTimeout


class _Request(aiohttp.ClientRequest):
    """Notes when the request goes out, and to which address, also on a connection that is used again."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        attempt = current.get()
        attempt.sent = time.perf_counter()
        attempt.phase = "response"
        peer = conn.transport.get_extra_info("peername") if conn.transport is not None else None
        attempt.address = str(peer[0]) if peer else None
        return await super().send(conn)


class EgressClient:
    """An HTTP client that reaches what its guard allows. Used as an async context manager, shared by all that send."""

    def __init__(
        self,
        guard: EgressGuard,
        *,
        user_agent: str = "Kanca",
        resolve: Resolve | None = None,
        keep_addresses: timedelta = timedelta(seconds=10),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``resolve`` replaces the system's resolver, ``tls`` the system's certificate authorities.

        ``keep_addresses`` is how long new connections use the addresses that a look-up found.
        """
        self._guard = guard
        self._user_agent = user_agent
        self._system_resolver = SystemResolver() if resolve is None else None
        self._resolve = resolve or self._system_resolver
        self._keep_addresses = keep_addresses
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # No limit on connections here: who sends bounds what it has in flight, and a pool that hanging receivers can
        # fill would make the others wait.
        connector = aiohttp.TCPConnector(
            limit=0,
            use_dns_cache=bool(self._keep_addresses),
            ttl_dns_cache=math.ceil(self._keep_addresses.total_seconds()),
            resolver=ConnectorResolver(self._timed_resolve),
            socket_factory=self._socket,
            ssl=self._tls or True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            request_class=_Request,
            skip_auto_headers=("Content-Type",),
            headers={"User-Agent": self._user_agent, "Accept": "*/*", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._system_resolver is not None:
            self._system_resolver.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        timeout: timedelta,
        max_response_bytes: int,
    ) -> EgressResponse:
        """Send one request and read its response, whatever its status; redirects are responses like others.

        ``timeout`` bounds everything from the look-up to the last byte. Raises EgressRefused (fact ``reason``),
        EgressTimeout (fact ``phase``: ``dns``, ``connect`` or ``response``) and EgressFailed (fact ``cause``). The last
        two have ``host``, ``address`` (None before there is a connection) and ``duration_ms`` too.
        """
        target = self._guard.checked_url(url)
        total_seconds = max(timeout.total_seconds(), 0.001)  # to aiohttp, 0 is no limit
        pairs = checked_headers(method, headers)
        attempt = Attempt(str(target.raw_host))
        token = current.set(attempt)
        try:
            return await self._exchange(
                attempt, method, target, pairs, body, total_seconds, max_response_bytes
            )
        except TimeoutError:
            sentence = f"{attempt.host} took longer than {timeout.total_seconds():g} s"
            raise EgressTimeout(sentence, phase=attempt.phase, **attempt.facts()) from None
        except BadEncoding:
            sentence = f"{attempt.host} sent a body that is not encoded as it says"
            raise EgressFailed(sentence, cause="protocol", **attempt.facts()) from None
        except (aiohttp.ClientError, OSError) as error:
            if attempt.refused and not attempt.has_tried:
                raise refusal(attempt.host, *attempt.refused[0]) from None
            raise failure(error, attempt.facts()) from None
        finally:
            current.reset(token)

    async def _exchange(
        self,
        attempt: Attempt,
        method: str,
        target: URL,
        headers: list[tuple[str, str]],
        body: bytes | None,
        total_seconds: float,
        max_response_bytes: int,
    ) -> EgressResponse:
        if self._session is None:
            raise RuntimeError("the client is not open")
        async with self._session.request(
            method,
            target,
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=total_seconds),
        ) as response:
            head_at = time.perf_counter()
            encoding = response.headers.get("Content-Encoding", "").strip().lower()
            content, truncated = await read_limited(_chunks(response), encoding, max_response_bytes)
            if truncated:
                response.close()  # the rest is not worth reading, so the connection cannot be used again
            return EgressResponse(
                status=response.status,
                headers=joined(response.raw_headers),
                body=content,
                truncated=truncated,
                address=attempt.address or "",
                timing=attempt.timing(head_at),
            )

    async def _timed_resolve(self, host: str) -> Any:
        assert self._resolve is not None  # noqa: S101 — one of the two was given
        attempt = current.get()
        started = time.perf_counter()
        try:
            return await self._resolve(host)
        finally:
            attempt.dns_seconds = time.perf_counter() - started

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The socket for a connection that is about to be opened. Raises OSError when its address is refused."""
        attempt = current.get()
        family, kind, protocol, _, destination = info
        if attempt.connecting_since is None:
            attempt.connecting_since = time.perf_counter()
        attempt.phase = "connect"
        address = ip_address(destination[0])
        reason = self._guard.is_refused(address, attempt.host)
        if reason is not None:
            attempt.refused.append((address, reason))
            raise PermissionError("refused by the egress guard")
        attempt.has_tried = True
        return socket.socket(family, kind, protocol)


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    while chunk := await response.content.readany():
        yield chunk
