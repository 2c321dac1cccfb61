"""Who may use the management API.

With a key configured, every management request carries it. Without one, management is served to this machine only:
Kanca itself bound a loopback address, the peer and the ``Host`` are loopback, nothing forwarded the request, and no
page of another origin made a browser send it. A tunnel or a rebinding DNS name fails at least one of these.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from kanca.api.problems import problem_response
from kanca.domain.loopback import is_loopback
from kanca.errors import Forbidden, KancaError, Unauthenticated

PUBLIC_PATHS = frozenset(
    {
        "/health",
        "/health/live",
        "/health/ready",
        "/health/processor",
        "/webhooks/subscriptions/{subscription_id}/jwks.json",
    }
)
"""Served without a key (besides ingest, which does not come here), as the routes are written."""

FORWARDING_HEADERS = frozenset(
    {b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cf-connecting-ip"}
)
"""Besides all that begin with ``x-forwarded-``."""

_PUBLIC = tuple(compile_path(path)[0] for path in sorted(PUBLIC_PATHS))
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
    """The host without its port; empty when the header is not written like one."""
    found = _HOST.fullmatch(header.decode("latin-1"))
    return found[1] if found else ""


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
    return any(pattern.fullmatch(path) for pattern in _PUBLIC)
