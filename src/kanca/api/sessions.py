"""Sessions of the dashboard: what their cookies say, and what a change with one has to come with."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

from kanca.api.arrival import Arrival
from kanca.domain.session_token import (
    Session,
    admin_keys,
    csrf_token,
    is_csrf_token,
    make_session,
    read_session,
)
from kanca.domain.signed_token import ExpiredToken, InvalidToken
from kanca.errors import CsrfRefused, SessionOver

CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
COOKIE = "kanca_session"
SECURE_COOKIE = "__Host-" + COOKIE
"""Over HTTPS only: browsers take it from nobody but the host itself, and send it to no other."""

_CSRF_HEADER = CSRF_HEADER.lower().encode()


class Sessions:
    """Makes and reads the cookies of sessions."""

    def __init__(
        self, keys: Sequence[bytes], admin_key: str | None = None, public_url: str | None = None
    ) -> None:
        """``keys`` sign, the first of them anew. Behind a proxy the ``Host`` may not be that of ``public_url``."""
        self._keys = tuple(keys)
        self._admin_keys = admin_keys(keys, admin_key) if admin_key is not None else ()
        parts = urlsplit(public_url or "")
        self._own_origin = f"{parts.scheme}://{parts.netloc}".encode() if parts.netloc else b"null"

    def begin(self, key_id: UUID | None, now: datetime) -> Session:
        """A new session of an API key, or of KANCA_ADMIN_KEY."""
        return Session(key_id, uuid.uuid4(), now, now)

    def read(self, headers: Iterable[tuple[bytes, bytes]], arrival: Arrival, now: datetime) -> Session | None:
        """The session whose cookie a request has; None without a cookie. Raises SessionOver."""
        text = _cookie_in(headers, name_of_cookie(arrival))
        if text is None:
            return None
        try:
            return self._read(text, now)
        except (InvalidToken, ExpiredToken):
            raise SessionOver from None

    def csrf_token(self, session: Session) -> str:
        """What the session's own pages send back as ``X-CSRF-Token``."""
        return csrf_token(self._keys_of(session), session)

    def check_change(self, session: Session, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Make sure that a change comes from a page of Kanca's own. Raises CsrfRefused."""
        said = dict(headers)
        host = said.get(b"host", b"")
        own = {b"http://" + host, b"https://" + host, self._own_origin} - {b"null"}
        # Browsers send it with each request that may change something.
        if said.get(b"origin") not in own:
            raise CsrfRefused("The request has no `Origin`, or a foreign one.")
        token = said.get(_CSRF_HEADER, b"").decode("latin-1")
        if not is_csrf_token(self._keys_of(session), session, token):
            raise CsrfRefused

    def cookie(self, session: Session, arrival: Arrival, now: datetime) -> str:
        """The ``Set-Cookie`` of a session as it is at ``now``."""
        seen = session._replace(seen_at=now)
        seconds = int((seen.ends_at - now).total_seconds())
        return _set_cookie(arrival, make_session(self._keys_of(session), seen), seconds)

    def _read(self, text: str, now: datetime) -> Session:
        """Raises InvalidToken, ExpiredToken."""
        try:
            session = read_session(self._keys, text, now)
            is_admin = False
        except InvalidToken:
            session = read_session(self._admin_keys, text, now)
            is_admin = True
        if is_admin != (session.key_id is None):
            raise InvalidToken
        return session

    def _keys_of(self, session: Session) -> tuple[bytes, ...]:
        return self._admin_keys if session.key_id is None else self._keys


def name_of_cookie(arrival: Arrival) -> str:
    """What the cookie is called there."""
    return SECURE_COOKIE if arrival.is_https else COOKIE


def forgotten_cookie(arrival: Arrival) -> str:
    """The ``Set-Cookie`` that takes a session's cookie away."""
    return _set_cookie(arrival, "", 0)


def _set_cookie(arrival: Arrival, value: str, seconds: int) -> str:
    parts = f"{name_of_cookie(arrival)}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"
    return parts + ("; Secure" if arrival.is_https else "")


def _cookie_in(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    wanted = name.encode() + b"="
    for header, value in headers:
        if header == b"cookie":
            for part in value.split(b";"):
                if part.strip().startswith(wanted):
                    return part.strip().removeprefix(wanted).decode("latin-1")
    return None
