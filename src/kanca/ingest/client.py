"""Who is at the other end, and whether the way here was safe, as far as trusted proxies say.

A forwarding header proves nothing by itself: anybody can send one. It is believed only when the peer is a trusted
proxy, and only back to the first address that is none.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Addresses and CIDR ranges as networks. Raises ValueError."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


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
    """Tells client and scheme from what the peer and trusted proxies say."""

    def __init__(self, trusted: Sequence[str]) -> None:
        """``trusted`` are addresses and CIDR ranges. Raises ValueError."""
        self._trusted = parse_networks(trusted)

    def client_of(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        """The client's address: the peer, or through trusted proxies the last address that none of them is."""
        if not self._trusted or not is_within(peer, self._trusted):
            return peer
        client = peer
        for text in reversed(headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")):
            address = parse_address(text)
            if address is None:
                break
            client = str(address)
            if not is_within(client, self._trusted):
                break
        return client

    def is_https(self, scheme: str, peer: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the request came over HTTPS, to this process or all the way to a trusted proxy."""
        if scheme == "https":
            return True
        if not self._trusted or not is_within(peer, self._trusted):
            return False
        said = headers.get(b"x-forwarded-proto", b"").lower().split(b",")
        return all(scheme.strip() == b"https" for scheme in said)
