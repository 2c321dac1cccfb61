"""Tunnels through proxies, which are asked for addresses that were checked, never for names.

SOCKS5 is python-socks'. CONNECT is ours: python-socks takes the answer's head to come in one piece, and what comes
later of it would be read as the receiver's.
"""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv6Address, ip_address

from aiohappyeyeballs import AddrInfoType, start_connection
from python_socks import ProxyConnectionError, ProxyError, ProxyType
from python_socks.async_.asyncio import Proxy

from kanca.egress.addresses import Address
from kanca.egress.failures import TunnelFailed
from kanca.egress.proxy import EgressProxy
from kanca.egress.resolver import Resolve

MAX_HEAD_BYTES = 16_384
_END = b"\r\n\r\n"
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |\r\n)")
_NEXT_ADDRESS_AFTER_SECONDS = 0.25

_UNREACHABLE_STATUSES = frozenset({502, 503, 504})
"""A proxy that cannot reach the receiver says one of these."""
_UNREACHABLE_REPLIES = frozenset({3, 4, 5, 6})
"""Network or host unreachable, connection refused, TTL expired (RFC 1928 section 6)."""


async def open_tunnel(
    proxy: EgressProxy, resolve: Resolve, address: Address, port: int, limit_seconds: float
) -> socket.socket:
    """A socket whose other end is at ``address``.

    Raises TunnelFailed, whose ``cause`` is ``connect`` when the proxy says that nobody answers at ``address``, and
    ``proxy`` for all else. A limit above keeps the time; ``limit_seconds`` is for who insists on one.
    """
    if isinstance(address, IPv6Address):
        address = IPv6Address(int(address))  # a zone means something on this machine only
    proxy_addresses = await _addresses_of(proxy, resolve)
    if proxy.scheme == "socks5":
        return await _through_socks(proxy, proxy_addresses, str(address), port, limit_seconds)
    host = f"[{address}]" if address.version == 6 else str(address)
    return await _through_http(proxy, proxy_addresses, f"{host}:{port}")


async def _addresses_of(proxy: EgressProxy, resolve: Resolve) -> list[Address]:
    try:
        return [ip_address(proxy.host)]
    except ValueError:
        pass
    try:
        found = [ip_address(text) for text in await resolve(proxy.host)]
    except OSError:
        found = []
    if not found:
        raise TunnelFailed("proxy", "cannot be reached: the proxy's name could not be resolved")
    return found


async def _through_socks(
    proxy: EgressProxy, proxy_addresses: list[Address], host: str, port: int, limit_seconds: float
) -> socket.socket:
    for proxy_address in proxy_addresses:
        asked = Proxy(ProxyType.SOCKS5, str(proxy_address), proxy.port, proxy.username, proxy.password)
        try:
            return await asked.connect(host, port, timeout=limit_seconds + 1)
        except ProxyConnectionError:
            continue
        except ProxyError as error:
            if error.error_code in _UNREACHABLE_REPLIES:
                raise _unreachable() from None
            raise _refused("makes no tunnel") from None
        except OSError:
            raise _refused("broke off") from None
    raise _away()


async def _through_http(proxy: EgressProxy, proxy_addresses: list[Address], authority: str) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        opened = await start_connection(
            [_info(address, proxy.port) for address in proxy_addresses],
            happy_eyeballs_delay=_NEXT_ADDRESS_AFTER_SECONDS,
            loop=loop,
        )
    except OSError:
        raise _away() from None
    try:
        await loop.sock_sendall(opened, _connect_request(authority, proxy.authorization()))
        status = await _read_status(opened, loop)
        if status in _UNREACHABLE_STATUSES:
            raise _unreachable()
        if not 200 <= status < 300:
            raise _refused(f"answered {status}")
    except OSError:
        opened.close()
        raise _refused("broke off") from None
    except BaseException:
        opened.close()
        raise
    return opened


def _info(address: Address, port: int) -> AddrInfoType:
    if address.version == 6:
        return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (str(address), port)


def _connect_request(authority: str, authorization: str) -> bytes:
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if authorization:
        lines.append(f"Proxy-Authorization: {authorization}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _read_status(opened: socket.socket, loop: asyncio.AbstractEventLoop) -> int:
    head = b""
    while _END not in head:
        read = await loop.sock_recv(opened, MAX_HEAD_BYTES)
        head += read
        if not read or len(head) > MAX_HEAD_BYTES:
            raise _refused("broke off" if not read else "does not speak HTTP")
    status = _STATUS_LINE.match(head)
    if status is None:
        raise _refused("does not speak HTTP")
    # The receiver speaks second, in TLS and in HTTP: what follows the head of a success would not be the receiver's.
    if status[1].startswith(b"2") and head.index(_END) != len(head) - len(_END):
        raise _refused("said too much")
    return int(status[1])


def _away() -> TunnelFailed:
    return TunnelFailed("proxy", "cannot be reached: the proxy does not answer")


def _refused(what: str) -> TunnelFailed:
    return TunnelFailed("proxy", f"cannot be reached: the proxy {what}")


def _unreachable() -> TunnelFailed:
    return TunnelFailed("connect", "could not be connected to from the proxy")
