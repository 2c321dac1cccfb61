"""Who may use the management API.

With a key configured, every management request carries it. Without one, management is served to this machine only:
Kanca itself bound a loopback address, the peer and the ``Host`` are loopback, nothing forwarded the request, and no
page of another origin made a browser send it. A tunnel or a rebinding DNS name fails at least one of these.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from kanca.api.problems import problem_response
from kanca.errors import Forbidden, KancaError, Unauthenticated

PUBLIC_PATHS = frozenset({"/health", "/health/live", "/health/ready", "/health/processor"})
"""Served without a key (besides ingest, which does not come here)."""

FORWARDING_HEADERS = frozenset(
    {
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"via",
        b"cf-connecting-ip",
    }
)


@dataclass(frozen=True, slots=True)
class AccessRule:
    """What a management request is measured against."""

    admin_key: str | None = field(repr=False)
    is_bound_to_loopback: bool
    """Kanca opened the listening socket itself, on a loopback address (never true when mounted in another app)."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine: ``localhost``, ``127.0.0.0/8``, ``::1``."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refusal(rule: AccessRule, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> KancaError | None:
    """Why a request may not use the management API; None when it may.

    ``peer`` is the address of the other end; ``headers`` have lower-case names.
    """
    found = dict(headers)
    if rule.admin_key is not None:
        return _key_refusal(rule.admin_key, found.get(b"authorization", b""))
    if not rule.is_bound_to_loopback:
        return Unauthenticated("Management needs a key here: set KANCA_ADMIN_KEY.")
    if peer is None or not is_loopback(peer):
        return Forbidden("Without a key, management is served to this machine only.")
    if not is_loopback(_host_of(found.get(b"host", b""))):
        return Forbidden("Without a key, management is served under a loopback host name only.")
    if FORWARDING_HEADERS & found.keys():
        return Forbidden("Without a key, management is not served to forwarded requests.")
    origin = found.get(b"origin")
    if origin is not None and urlsplit(origin.decode("latin-1")).netloc.encode("latin-1") != found.get(
        b"host"
    ):
        return Forbidden("Without a key, management is not served to pages of another origin.")
    return None


def _key_refusal(admin_key: str, authorization: bytes) -> KancaError | None:
    scheme, _, key = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not key:
        return Unauthenticated("Send the key as `Authorization: Bearer <key>`.")
    if not hmac.compare_digest(key.strip(), admin_key.encode()):
        return Unauthenticated("The key is not valid.")
    return None


def _host_of(header: bytes) -> str:
    """The host without its port."""
    return urlsplit("//" + header.decode("latin-1")).hostname or ""


class ManagementGuard:
    """ASGI wrapper that lets through what may use the management API, whatever route it asks for."""

    def __init__(self, app: ASGIApp, rule: AccessRule) -> None:
        self._app = app
        self._rule = rule

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and not _is_public(scope):
            client = scope.get("client")
            error = refusal(self._rule, client[0] if client else None, scope["headers"])
            if error is not None:
                headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
                await problem_response(error, headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_public(scope: Scope) -> bool:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return path in PUBLIC_PATHS
