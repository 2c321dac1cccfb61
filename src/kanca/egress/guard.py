"""What outgoing requests may reach: decided from addresses, host names and URLs alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from yarl import URL

from kanca.egress.addresses import Address, Network, carried_by, is_forbidden
from kanca.errors import EgressRefused, InvalidSetting

MAX_URL_LENGTH = 8192

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


class EgressGuard:
    """Public addresses, and what ``allow`` names besides."""

    def __init__(self, allow: Iterable[str] = (), ports: Iterable[str] = ()) -> None:
        """``allow`` holds CIDR ranges (``10.1.0.0/16``), single addresses and host names.

        ``ports`` are the only ones that may be connected to; without any, all may be.

        A host name allows whatever addresses it has. Addresses of cloud metadata are allowed only by naming the very
        address: neither by a range nor by a host name. Raises InvalidSetting for an entry that is none of these.
        """
        self._ports = frozenset(map(_port, ports))
        self._networks: list[Network] = []
        # The same few thousand URLs are asked again and again; to take one apart costs as much as to sign a request.
        self._checked = lru_cache(maxsize=8192)(self._check)
        self._hosts: set[str] = set()
        for entry in allow:
            try:
                self._networks.append(ip_network(entry))
            except ValueError:
                self._hosts.add(_host_name(entry))

    def is_refused(self, address: Address, host: str = "") -> str | None:
        """Why ``address``, to which ``host`` resolved, must not be connected to, or None when it may be."""
        reason = is_forbidden(address)
        if reason is None:
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = next(carried_by(address))
        naming = [network for network in self._networks if address in network]
        if reason == "metadata":
            return None if any(network.num_addresses == 1 for network in naming) else reason
        return None if naming or host.rstrip(".").lower() in self._hosts else reason

    def checked_url(self, url: str) -> URL:
        """``url``, when it is one that may be requested as far as can be told without asking DNS.

        Raises EgressRefused with the fact ``reason``: ``bad_url``, ``bad_scheme`` (other than http and https),
        ``has_credentials``, ``bad_host``, ``bad_port`` (not among the guard's), or why the address it names is refused.
        """
        return self._checked(url)

    def _check(self, url: str) -> URL:
        parsed = _parsed(url)
        if parsed.scheme not in ("http", "https"):
            raise EgressRefused("only http and https URLs can be requested", reason="bad_scheme")
        if parsed.raw_user is not None or parsed.raw_password is not None:
            raise EgressRefused("the URL has a user name or password in it", reason="has_credentials")
        host = parsed.raw_host
        if not host:
            raise EgressRefused("the URL has no host", reason="bad_host")
        if self._ports and parsed.port not in self._ports:
            raise EgressRefused(
                f"port {parsed.port} may not be connected to", reason="bad_port", host=host[:253]
            )
        address = _literal(host)
        if address is not None:
            reason = self.is_refused(address, host)
            if reason is not None:
                raise refusal(host, address, reason)
        elif not _HOST_NAME.fullmatch(host.removesuffix(".").lower()):
            raise EgressRefused("the host of the URL is not a host name", reason="bad_host", host=host[:253])
        return parsed


def refusal(host: str, address: Address, reason: str) -> EgressRefused:
    """The error for a host whose address must not be connected to."""
    sentence = f"{host} is at {address}, which is not allowed: {reason.replace('_', ' ')}"
    return EgressRefused(sentence, reason=reason, host=host, address=str(address))


def _parsed(url: str) -> URL:
    # The parser drops some of these, and others read them as separators: what is refused means one thing only.
    if len(url) > MAX_URL_LENGTH or re.search(r"[\x00-\x20\x7f\\]", url) or not url.isprintable():
        raise EgressRefused("the URL is too long, or has a character that URLs do not have", reason="bad_url")
    try:
        return URL(url)
    except ValueError:
        raise EgressRefused("this is not a URL", reason="bad_url") from None


def _literal(host: str) -> Address | None:
    """The address that ``host`` is. Raises EgressRefused when it is written unusually (``2130706433``, ``0x7f.1``)."""
    try:
        return ip_address(host)
    except ValueError:
        last = host.rstrip(".").rpartition(".")[2]
    # A name whose last part is a number is an address to resolvers (WHATWG URL, "ends in a number").
    if _NUMBER.fullmatch(last):
        raise EgressRefused(
            "the host is an address that is not written as usual", reason="bad_host", host=host
        )
    return None


def _host_name(entry: str) -> str:
    name = entry.rstrip(".").lower()
    if not _HOST_NAME.fullmatch(name) or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise InvalidSetting(f"egress_allow: {entry!r} is neither a CIDR range, an address nor a host name")
    return name


def _port(entry: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", entry) or int(entry) > 65535:
        raise InvalidSetting(f"egress_ports: {entry!r} is no port: a number from 1 to 65535")
    return int(entry)
