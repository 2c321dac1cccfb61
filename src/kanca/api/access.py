"""Who may use the management API.

With a key configured, every management request carries it. Without one, management is served to this machine only:
Kanca itself bound a loopback address, the peer and the ``Host`` are loopback, nothing forwarded the request, and no
page of another origin made a browser send it. A tunnel or a rebinding DNS name fails at least one of these.

A tenant with a portal token may use some of it (``portal_access``).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from kanca.api.callers import SCOPE_KEY, Caller
from kanca.api.portal_access import portal_token_in, tenant_calling
from kanca.api.problems import problem_response
from kanca.api.refusals import note_refusal
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

    def __init__(
        self,
        app: ASGIApp,
        rule: AccessRule,
        portal_keys: Sequence[bytes] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``portal_keys`` are what portal tokens are made with; without any, none is valid."""
        self._app = app
        self._rule = rule
        self._portal_keys = portal_keys
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, saying who calls, or refuse it."""
        if scope["type"] != "http" or _is_public(scope):
            await self._app(scope, receive, send)
            return
        try:
            caller = self._caller(scope)
        except KancaError as error:
            note_refusal(scope, error)
            headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
            await problem_response(error, headers)(scope, receive, send)
            return
        who = {} if caller.tenant is None else {"caller": f"tenant {caller.tenant}"}
        with structlog.contextvars.bound_contextvars(**who):
            await self._app({**scope, SCOPE_KEY: caller}, receive, send)

    def _caller(self, scope: Scope) -> Caller:
        """Who calls. Raises KancaError for who may not."""
        client = scope.get("client")
        error = refusal(self._rule, client[0] if client else None, scope["headers"])
        token = portal_token_in(scope["headers"])
        is_keyed = self._rule.admin_key is not None
        # Where there is a key, a token is none (or it is the key). Where there is none, tokens too count here only.
        if token is not None and is_keyed == (error is not None):
            return tenant_calling(self._portal_keys, token, scope["method"], _path(scope), self._now())
        if error is not None:
            raise error
        return Caller(is_keyed=is_keyed)


def _is_public(scope: Scope) -> bool:
    return any(pattern.fullmatch(_path(scope)) for pattern in _PUBLIC)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
