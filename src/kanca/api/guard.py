"""What stands in front of the management API: it lets nobody through without knowing who it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from kanca.api.access import AccessRule
from kanca.api.arrival import SCOPE_ARRIVAL, Arrival, direct_arrival
from kanca.api.authentication import Authentication, gives_key
from kanca.api.callers import SCOPE_KEY, Caller, Proof
from kanca.api.failed_attempts import FailedAttempts
from kanca.api.key_book import KeyBook
from kanca.api.permissions import PUBLIC_PATHS
from kanca.api.problems import problem_response
from kanca.api.refusals import note_refusal
from kanca.api.security_headers import with_security_headers
from kanca.api.sessions import Sessions, forgotten_cookie
from kanca.domain.session_token import SEEN_EVERY
from kanca.errors import KancaError, SessionOver, TooManyFailures, Unauthenticated

_PUBLIC = tuple(compile_path(path)[0] for path in sorted(PUBLIC_PATHS))


class ManagementGuard:
    """ASGI wrapper that lets through what may use the management API, whatever route it asks for.

    Which of the routes a role may use, each route finds out for itself (``routing.StrictRoute``).
    """

    def __init__(
        self,
        app: ASGIApp,
        rule: AccessRule,
        portal_keys: Sequence[bytes] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        book: KeyBook | None = None,
        sessions: Sessions | None = None,
        arrival_of: Callable[[Scope], Arrival] = direct_arrival,
        failures: FailedAttempts | None = None,
    ) -> None:
        """``portal_keys`` are what portal tokens are made with. Without ``book`` and ``sessions`` there are none."""
        self._app = app
        self._authentication = Authentication(rule, portal_keys, book, sessions)
        self._now = now
        self._sessions = sessions
        self._arrival_of = arrival_of
        self._failures = failures or FailedAttempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, saying who calls, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        arrival = self._arrival_of(scope)
        scope = {**scope, SCOPE_ARRIVAL: arrival}
        send_headed = with_security_headers(send, is_https=arrival.is_https)
        if _is_public(scope):
            await self._app(scope, receive, send_headed)
            return
        try:
            caller = await self._caller(scope, arrival)
        except KancaError as error:
            note_refusal(scope, error)
            await problem_response(error, _headers_of(error, arrival))(scope, receive, send_headed)
            return
        send_headed = with_security_headers(
            send, is_https=arrival.is_https, besides=self._renewal(caller, arrival)
        )
        who = {"caller": caller.actor} if caller.proof in (Proof.API_KEY, Proof.PORTAL_TOKEN) else {}
        with structlog.contextvars.bound_contextvars(**who):
            await self._app({**scope, SCOPE_KEY: caller}, receive, send_headed)

    async def _caller(self, scope: Scope, arrival: Arrival) -> Caller:
        """Who calls. Raises KancaError for who may not, and for who has guessed too often."""
        is_attempt = gives_key(scope["headers"])
        wait_s = self._failures.wait_s(arrival.client) if is_attempt else None
        if wait_s is not None:
            raise TooManyFailures(retry_after_seconds=wait_s)
        try:
            return self._authentication.caller(scope, _path(scope), arrival, self._now())
        except Unauthenticated as error:
            # What has ended was right once: that is nobody who guesses.
            if is_attempt and type(error) is Unauthenticated:
                self._failures.failed(arrival.client)
                await self._failures.failed_for_all(arrival.client)
            raise

    def _renewal(self, caller: Caller, arrival: Arrival) -> list[tuple[bytes, bytes]]:
        """The header that says anew when the caller's session was last seen, now and then."""
        session, now = caller.session, self._now()
        if self._sessions is None or session is None or now - session.seen_at < SEEN_EVERY:
            return []
        return [(b"set-cookie", self._sessions.cookie(session, arrival, now).encode())]


def _headers_of(error: KancaError, arrival: Arrival) -> dict[str, str]:
    if isinstance(error, TooManyFailures):
        return {"Retry-After": str(error.facts["retry_after_seconds"])}
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
    if isinstance(error, SessionOver):
        headers["Set-Cookie"] = forgotten_cookie(arrival)
    return headers


def _is_public(scope: Scope) -> bool:
    return any(pattern.fullmatch(_path(scope)) for pattern in _PUBLIC)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
