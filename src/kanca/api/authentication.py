"""Who sends a request: decided from its key, token or session, and from where it comes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from starlette.types import Scope

from kanca.api.access import AccessRule, refusal
from kanca.api.arrival import Arrival
from kanca.api.callers import OPERATOR, Caller, Proof
from kanca.api.key_book import KeyBook
from kanca.api.portal_access import portal_token_in, tenant_calling
from kanca.api.sessions import SAFE_METHODS, Sessions
from kanca.domain.api_key import PREFIX, ApiKey
from kanca.domain.session_token import Session
from kanca.errors import KeyExpired, KeyRevoked, SessionOver, Unauthenticated

_ADMIN = Caller(proof=Proof.ADMIN_KEY)


class Authentication:
    """Tells who sends a request."""

    def __init__(
        self,
        rule: AccessRule,
        portal_keys: Sequence[bytes] = (),
        book: KeyBook | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        """``portal_keys`` are what portal tokens are made with. What is not given opens nothing."""
        self._rule = rule
        self._portal_keys = portal_keys
        self._book = book
        self._sessions = sessions

    def caller(self, scope: Scope, path: str, arrival: Arrival, now: datetime) -> Caller:
        """Who asks for ``path``. Raises KancaError for who may not."""
        headers = scope["headers"]
        peer = scope.get("client")
        error = refusal(self._rule, peer[0] if peer else None, headers)
        is_keyed = self._rule.admin_key is not None
        if is_keyed and error is None:
            return _ADMIN
        token = portal_token_in(headers)
        # Where there is a key, a token is none (or it is the key). Where there is none, tokens too count here only.
        if token is not None and is_keyed == (error is not None):
            return tenant_calling(self._portal_keys, token, scope["method"], path, now)
        key = api_key_in(headers)
        if key is not None:
            return self._caller_with(key, now)
        if not gives_key(headers) and (caller := self._caller_in(scope, arrival, now)) is not None:
            return caller
        if error is not None:
            raise error
        return OPERATOR

    def _caller_with(self, text: str, now: datetime) -> Caller:
        """Raises Unauthenticated, KeyExpired, KeyRevoked. A wrong key opens less than none, on this machine too."""
        key = None if self._book is None else self._book.find(text)
        if key is None:
            raise Unauthenticated("The key is not valid.")
        return self._known(key, now)

    def _caller_in(self, scope: Scope, arrival: Arrival, now: datetime) -> Caller | None:
        """Whose session it is; None without one. Raises SessionOver, CsrfRefused."""
        if self._sessions is None:
            return None
        session = self._sessions.read(scope["headers"], arrival, now)
        if session is None:
            return None
        caller = replace(self._caller_of(session, now), session=session)
        if scope["method"] not in SAFE_METHODS:
            self._sessions.check_change(session, scope["headers"])
        return caller

    def _caller_of(self, session: Session, now: datetime) -> Caller:
        """Raises SessionOver when somebody ended it, or its key is no more, or not valid any more."""
        if self._book is not None and self._book.has_ended(session.id):
            raise SessionOver
        if session.key_id is None:
            return _ADMIN
        key = None if self._book is None else self._book.by_id(session.key_id)
        try:
            if key is not None:
                return self._known(key, now)
        except Unauthenticated as error:
            raise SessionOver(error.detail) from None
        raise SessionOver

    def _known(self, key: ApiKey, now: datetime) -> Caller:
        if key.revoked_at is not None:
            raise KeyRevoked
        if key.is_expired(now):
            raise KeyExpired
        if self._book is not None:
            self._book.note_use(key.id, now)
        return Caller(
            tenant=key.tenant,
            role=key.role,
            proof=Proof.API_KEY,
            key_id=key.id,
            name=key.name,
            expires_at=key.expires_at,
        )


def api_key_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What a request gives as an API key; None when it comes with something else, or nothing."""
    scheme, _, key = dict(headers).get(b"authorization", b"").partition(b" ")
    text = key.strip().decode("latin-1")
    return text if scheme.lower() == b"bearer" and text.startswith(PREFIX) else None


def gives_key(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request comes with a key or a token. Other credentials are for whoever stands in front of Kanca."""
    return any(
        name == b"authorization" and value.partition(b" ")[0].lower() == b"bearer" for name, value in headers
    )
