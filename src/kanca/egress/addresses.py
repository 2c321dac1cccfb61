"""Which IP addresses are on the public internet, and why the others are not.

The lists are IANA's special-purpose registries (IPv4 and IPv6, RFC 6890 and its successors) and the addresses at which
clouds answer questions about the machine itself. They are written out, not taken from ``ipaddress``, whose opinion on
some of them changed between versions of Python. IPv6 outside 2000::/3 is not allocated, so it is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Google, Azure, OpenStack, …
            "169.254.170.2",  # AWS, credentials of containers
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's host: a public address that is answered by the machine's own host
            "192.0.0.192",  # Oracle
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google
        ),
    )
)

_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link_local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),  # relays of 6to4, deprecated
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "private"),  # translation to IPv4 within one network
        ("fc00::/7", "private"),
        ("fe80::/10", "link_local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
        ("2001:2::/48", "benchmarking"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
    )
)
_TEREDO = IPv6Network("2001::/32")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_NAT64 = IPv6Network("64:ff9b::/96")
_IETF_PROTOCOLS = IPv6Network("2001::/23")
_GLOBAL_UNICAST = IPv6Network("2000::/3")


@lru_cache(maxsize=4096)
def is_forbidden(address: Address) -> str | None:
    """Why ``address`` must not be connected to, in one word, or None when it is a public one.

    ``metadata``, ``loopback``, ``private``, ``link_local``, ``shared`` (carrier NAT), ``multicast``, ``unspecified``,
    ``reserved``, ``benchmarking``, ``documentation``. An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4,
    Teredo) is what it carries.
    """
    if isinstance(address, IPv6Address):
        address = IPv6Address(int(address))  # without the zone, ``%eth0``, which equality would notice
    if address in METADATA:
        return "metadata"
    for network, reason in _SPECIAL:
        if address.version == network.version and address in network:
            return reason
    if isinstance(address, IPv4Address):
        return None
    carried = [is_forbidden(inner) for inner in carried_by(address)]
    if carried:
        return next(filter(None, carried), None)
    if address in _IETF_PROTOCOLS or address not in _GLOBAL_UNICAST:
        return "reserved"
    return None


def carried_by(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that packets for ``address`` may end at (RFC 4291, 6052, 3056, 4380)."""
    number = int(address)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in _NAT64:
        yield IPv4Address(number & 0xFFFFFFFF)
    elif address in _SIX_TO_FOUR:
        yield IPv4Address(number >> 80 & 0xFFFFFFFF)
    elif address in _TEREDO:
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)  # the server
        yield IPv4Address(~number & 0xFFFFFFFF)  # the client, written with its bits inverted
