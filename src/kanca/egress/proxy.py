"""The proxy that outgoing requests go through, when its operator has configured one."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from kanca.errors import InvalidSetting

_DEFAULT_PORTS = {"http": 80, "socks5": 1080}
_MAX_SOCKS_TEXT = 255


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """A proxy that makes tunnels. Its own address is the operator's choice: the guard is not asked about it."""

    scheme: str
    """``http`` (CONNECT, RFC 9110 section 9.3.6) or ``socks5`` (RFC 1928 and 1929)."""
    host: str
    port: int
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def authorization(self) -> str:
        """What stands in the header Proxy-Authorization; empty without a user."""
        if not self.username:
            return ""
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()


def read_proxy(url: str) -> EgressProxy:
    """The proxy that ``url`` names. Raises InvalidSetting, which says nothing of what stands in it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidSetting("egress_proxy: this is not a URL") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise InvalidSetting("egress_proxy: must be http://host:port or socks5://host:port")
    if parts.path.strip("/") or parts.query or parts.fragment or port == 0:
        raise InvalidSetting("egress_proxy: must have nothing behind the port")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not (username + password).isprintable() or ":" in username or (password and not username):
        raise InvalidSetting("egress_proxy: its user name and password cannot be")
    if parts.scheme == "socks5" and not _can_be_socks(username, password):
        raise InvalidSetting("egress_proxy: to SOCKS5, user name and password are 1 to 255 ASCII characters")
    return EgressProxy(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme], username, password)


def _can_be_socks(username: str, password: str) -> bool:
    if bool(username) != bool(password):
        return False
    return (username + password).isascii() and max(len(username), len(password)) <= _MAX_SOCKS_TEXT
