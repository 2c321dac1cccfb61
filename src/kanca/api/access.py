"""Who may use the management API.

With a key configured, every management request carries it. Without one, management is served to this machine only:
Kanca itself bound a loopback address, the peer and the ``Host`` are loopback, nothing forwarded the request, and no
page of another origin made a browser send it. A tunnel or a rebinding DNS name fails at least one of these.

With an API key, or a session that stands for one, a request is served wherever it comes from (``authentication``); a
tenant with a portal token may use some of it (``portal_access``).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from kanca.domain.loopback import is_loopback
from kanca.errors import Forbidden, KancaError, Unauthenticated

FORWARDING_HEADERS = frozenset(
    {
        *(b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip"),
        *(b"cf-connecting-ip", b"fastly-client-ip", b"fly-client-ip", b"x-envoy-external-address"),
    }
)
"""Besides all that begin with ``x-forwarded-``."""

_ANOTHER_ORIGIN = "Without a key, management is not served to pages of another origin."
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class AccessRule:
    """What a management request is measured against."""

    admin_key: str | None = field(repr=False)
    is_bound_to_loopback: bool
    """Kanca opened the listening socket itself, on a loopback address (never true when mounted in another app)."""


def refusal(rule: AccessRule, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> KancaError | None:
    """Why a request may not use the management API; None when it may.

    ``peer`` is the address of the other end; ``headers`` have lower-case names.
    """
    pairs = list(headers)
    if rule.admin_key is not None:
        return _key_refusal(rule.admin_key, dict(pairs).get(b"authorization", b""))
    if not rule.is_bound_to_loopback:
        return Unauthenticated("Management needs a key here: set KANCA_ADMIN_KEY.")
    if peer is None or not is_loopback(peer):
        return Forbidden("Without a key, management is served to this machine only.")
    hosts = [value for name, value in pairs if name == b"host"]
    if len(hosts) != 1 or not is_loopback(_host_of(hosts[0])):
        return Forbidden("Without a key, management is served under a loopback host name only.")
    if any(name in FORWARDING_HEADERS or name.startswith(b"x-forwarded-") for name, _ in pairs):
        return Forbidden("Without a key, management is not served to forwarded requests.")
    own_origins = {b"http://" + hosts[0], b"https://" + hosts[0]}
    if any(name == b"origin" and value not in own_origins for name, value in pairs):
        return Forbidden(_ANOTHER_ORIGIN)
    if _is_caused_by_another_site(pairs):
        return Forbidden(_ANOTHER_ORIGIN)
    return None


def _is_caused_by_another_site(pairs: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a browser says so: it sends no ``Origin`` with an image or a script, which are requests all the same."""
    said = dict(pairs)
    if said.get(b"sec-fetch-site", b"none") in {b"none", b"same-origin"}:
        return False
    # Who follows a link sees what it leads to; the page that has the link does not.
    return (said.get(b"sec-fetch-mode"), said.get(b"sec-fetch-dest")) != (b"navigate", b"document")


def _key_refusal(admin_key: str, authorization: bytes) -> KancaError | None:
    scheme, _, key = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not key:
        return Unauthenticated("Send the key as `Authorization: Bearer <key>`.")
    if not hmac.compare_digest(key.strip(), admin_key.encode()):
        return Unauthenticated("The key is not valid.")
    return None


def _host_of(header: bytes) -> str:
    """The host without its port; empty when the header is not written like one."""
    found = _HOST.fullmatch(header.decode("latin-1"))
    return found[1] if found else ""
