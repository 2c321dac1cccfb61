"""The HTTP client that every outgoing request of Kanca goes through.

The guard decides where connections are made (``connector.py``), on the very address that is about to be connected to,
so nothing can change between the check and the connection: not DNS, which is not asked again, and not a URL that is an
address itself, which DNS is never asked about. Redirects are never followed, environment proxies and ``.netrc`` are
not read, cookies are not kept. Connections are kept open and used again; one that was checked stays on its address.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from kanca.egress.attempt import Attempt, EgressResponse, current
from kanca.egress.connector import GuardedConnector
from kanca.egress.failures import TunnelFailed, failure
from kanca.egress.guard import EgressGuard, refusal
from kanca.egress.headers import checked_headers, joined
from kanca.egress.proxy import EgressProxy
from kanca.egress.reading import BadEncoding, read_limited
from kanca.egress.resolver import Resolve, SystemResolver
from kanca.errors import EgressFailed, EgressRefused, EgressTimeout

CONNECT_SECONDS = 10.0
"""What one connection may take, unless the caller says so."""


class _Request(aiohttp.ClientRequest):
    """Notes when the request goes out, and to which address, also on a connection that is used again."""

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        attempt = current.get()
        attempt.sent = time.perf_counter()
        attempt.phase = "response"
        attempt.address = conn.protocol.address
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
        proxy: EgressProxy | None = None,
    ) -> None:
        """``resolve`` replaces the system's resolver, ``tls`` the system's certificate authorities.

        ``proxy`` makes the connections. What it is asked for was looked up and checked here.
        ``keep_addresses`` is how long new connections use the addresses that a look-up found.
        """
        self._guard = guard
        self._user_agent = user_agent
        self._system_resolver = SystemResolver()  # starts no thread before it is asked
        self._resolve: Resolve = resolve or self._system_resolver
        self._keep_addresses = keep_addresses
        self._tls = tls
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = GuardedConnector(
            self._guard,
            self._resolve,
            keep_addresses=self._keep_addresses,
            tls=self._tls,
            proxy=self._proxy,
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
        connect_timeout: timedelta | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> EgressResponse:
        """Send one request and read its response, whatever its status; redirects are responses like others.

        ``timeout`` bounds everything from the look-up to the last byte, ``connect_timeout`` (10 s, when ``timeout`` is
        no less) the making of a connection: look-up, TCP and TLS. ``tls`` is for this request in the place of the
        client's; connections made with it are used for no other.

        Raises EgressRefused (fact ``reason``), EgressTimeout (fact ``phase``: ``dns``, ``connect``, ``tls``,
        ``response``, which is until its head has come, or ``body``) and EgressFailed (fact ``cause``). The last two
        have ``host``, ``address`` (None before there is a connection) and ``duration_ms`` too.
        """
        target = self._guard.checked_url(url)
        if tls is not None and target.scheme != "https":
            raise EgressRefused("a client certificate can be shown to https URLs only", reason="bad_scheme")
        total_seconds = max(timeout.total_seconds(), 0.001)  # to aiohttp, 0 is no limit
        pairs = checked_headers(method, headers)
        attempt = Attempt(str(target.raw_host), _connect_seconds(connect_timeout, total_seconds))
        token = current.set(attempt)
        try:
            return await self._exchange(
                attempt, method, target, pairs, body, total_seconds, max_response_bytes, tls
            )
        except TimeoutError:
            raise _timeout(attempt, timeout) from None
        except BadEncoding:
            sentence = f"{attempt.host} sent a body that is not encoded as it says"
            raise EgressFailed(sentence, cause="protocol", **attempt.facts()) from None
        except (aiohttp.ClientError, OSError, TunnelFailed) as error:
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
        tls: ssl.SSLContext | None,
    ) -> EgressResponse:
        if self._session is None:
            raise RuntimeError("the client is not open")
        async with self._session.request(
            method,
            target,
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=total_seconds, ceil_threshold=math.inf),
            ssl=tls or True,
        ) as response:
            head_at = time.perf_counter()
            attempt.phase = "body"
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


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    while chunk := await response.content.readany():
        yield chunk


def _connect_seconds(connect_timeout: timedelta | None, total_seconds: float) -> float:
    wanted = CONNECT_SECONDS if connect_timeout is None else max(connect_timeout.total_seconds(), 0.001)
    return min(wanted, total_seconds)


def _timeout(attempt: Attempt, timeout: timedelta) -> EgressTimeout:
    sentence = f"{attempt.host} took longer than {timeout.total_seconds():g} s"
    if attempt.is_over_connect_limit:
        sentence = f"{attempt.host} could not be connected to within {attempt.connect_limit_seconds:g} s"
    return EgressTimeout(sentence, phase=attempt.phase, **attempt.facts())
