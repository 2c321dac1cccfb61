"""Who is at the other end, and whether the way here was safe, as far as trusted proxies say.

A forwarding header proves nothing by itself: anybody can send one. It is believed only when the peer is a trusted
proxy, and only back to the first address that is none.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache

from kanca.ingest.forwarded import read_forwarded

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN = ""
"""The address of a client that cannot be told: in no list, and counted together with all others like it."""
_LONGEST_ADDRESS = 100
_MAPPED_BITS = 96
"""Those before the IPv4 address in ``::ffff:192.0.2.1``."""


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and CIDR ranges as networks; IPv4 within IPv6 as IPv4, as with addresses. Raises ValueError."""
    return tuple(_unmapped(ipaddress.ip_network(text, strict=False)) for text in texts)


def _unmapped(network: Network) -> Network:
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - _MAPPED_BITS))


@lru_cache(maxsize=8192)
def parse_address(text: str) -> Address | None:
    """The address in ``text``, which may have a port, brackets or a zone; an IPv4 address within IPv6 as IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_within(client: str, networks: Sequence[Network]) -> bool:
    """Whether the address is in one of the networks; one that cannot be read is in none."""
    address = parse_address(client)
    return address is not None and any(address in network for network in networks)


def rate_limit_key(client: str) -> str:
    """What a client is counted under: its address, or for IPv6 the /64 that one customer has at the least."""
    address = parse_address(client)
    if isinstance(address, ipaddress.IPv6Address):
        return f"{int(address) >> 64:x}::/64"
    return client


class Proxies:
    """Tells client and scheme from what the peer and trusted proxies say, in ``X-Forwarded-…`` or in ``Forwarded``.

    Which of the two a proxy writes is not known here, and the other one may be the client's own. So where both are
    there, both have to say the same: neither can be used to say more than the other allows.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        """``trusted`` are addresses and CIDR ranges. Raises ValueError."""
        self._trusted = parse_networks(trusted)

    def client_of(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        """The client's address: the peer, or through trusted proxies the last address that none of them is.

        UNKNOWN when they do not say it clearly: hidden, unreadable, or two different addresses in the two headers.
        """
        if not self._trusts(peer):
            return peer
        told = {self._walk(peer, way) for way in (_x_forwarded_for(headers), _forwarded_for(headers)) if way}
        if not told:
            return peer
        # The header of proxies that know less ends at one of their own; it does not contradict the other.
        told = {client for client in told if not self._trusts(client)} or told
        return told.pop() if len(told) == 1 else UNKNOWN

    def is_https(self, scheme: str, peer: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the request came over HTTPS, to this process or all the way to a trusted proxy."""
        if scheme == "https":
            return True
        if not self._trusts(peer):
            return False
        elements = _forwarded(headers)
        if elements is None:
            return False
        said = [part.strip() for part in _text(headers, b"x-forwarded-proto").split(",") if part.strip()]
        if not said and not (elements and "proto" in elements[-1]):
            return False  # the peer said nothing; whoever came before it may be anybody
        said += [element["proto"] for element in elements if "proto" in element]
        return all(word.lower() == "https" for word in said)

    def _trusts(self, address: str) -> bool:
        return bool(self._trusted) and is_within(address, self._trusted)

    def _walk(self, peer: str, way: Sequence[str]) -> str:
        client = peer
        for text in reversed(way):
            address = parse_address(text[:_LONGEST_ADDRESS])
            if address is None:
                return UNKNOWN
            client = str(address)
            if not self._trusts(client):
                break
        return client


def _x_forwarded_for(headers: Mapping[bytes, bytes]) -> list[str]:
    return [part for part in _text(headers, b"x-forwarded-for").split(",") if part.strip()]


def _forwarded_for(headers: Mapping[bytes, bytes]) -> list[str]:
    """The addresses, one for each proxy; none when no proxy says any."""
    elements = _forwarded(headers)
    if elements is None:
        return [UNKNOWN]
    return [element.get("for", UNKNOWN) for element in elements] if any("for" in e for e in elements) else []


def _forwarded(headers: Mapping[bytes, bytes]) -> list[dict[str, str]] | None:
    text = _text(headers, b"forwarded")
    return read_forwarded(text) if text else []


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")
