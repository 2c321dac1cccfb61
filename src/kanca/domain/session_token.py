"""Sessions of the dashboard: a signed token in a cookie that stands for the key it was made with.

Nothing of it is stored. It names the key, never the key itself, says when the session began and when it was last seen,
and who reads it looks the key up each time: a key that ends, ends its sessions.

    version 1 · id of the key 16 (zero: KANCA_ADMIN_KEY) · session 16 · begun 8 · seen 8 (µs since 1970) · HMAC 32

as ``kanca.domain.signed_token`` writes it.
"""

from __future__ import annotations

import hmac
import struct
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from kanca.domain.signed_token import ExpiredToken, InvalidToken, signed, signed_content

KEY_LABEL = "dashboard sessions"
"""What the keys are derived for (see ``SecretBox.derived``)."""
LASTS = timedelta(hours=12)
"""However busy it is."""
IDLE = timedelta(hours=1)
"""Without a request."""
SEEN_EVERY = timedelta(minutes=1)
"""How often the token says anew when it was last seen."""
MAX_CLOCK_SKEW = timedelta(minutes=1)
"""Another gateway's clock may be ahead of this one's."""

_CONTENT = struct.Struct(">B16s16sqq")
_VERSION = 1
_NO_KEY = UUID(int=0)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Session(NamedTuple):
    """What a token says."""

    key_id: UUID | None
    """None: KANCA_ADMIN_KEY."""
    id: UUID
    begun_at: datetime
    seen_at: datetime

    @property
    def ends_at(self) -> datetime:
        """When it is over if nothing is heard of it any more."""
        return min(self.begun_at + LASTS, self.seen_at + IDLE)


def admin_keys(keys: Sequence[bytes], admin_key: str) -> tuple[bytes, ...]:
    """What tokens for KANCA_ADMIN_KEY are made with: another admin key ends them all."""
    return tuple(hmac.digest(key, admin_key.encode(), "sha256") for key in keys)


def make_session(keys: Sequence[bytes], session: Session) -> str:
    """The text of a token, made with the first of ``keys``."""
    begun, seen = ((moment - _EPOCH) // _MICROSECOND for moment in (session.begun_at, session.seen_at))
    key_id = session.key_id or _NO_KEY
    return signed(keys, _CONTENT.pack(_VERSION, key_id.bytes, session.id.bytes, begun, seen))


def read_session(keys: Sequence[bytes], text: str, now: datetime) -> Session:
    """What a token says that was made with any of ``keys``. Raises InvalidToken, and ExpiredToken for ``now``."""
    content = signed_content(keys, text)
    try:
        version, key_id, session_id, begun_us, seen_us = _CONTENT.unpack(content)
        begun_at, seen_at = (_EPOCH + each * _MICROSECOND for each in (begun_us, seen_us))
    except (struct.error, OverflowError):
        raise InvalidToken from None
    if version != _VERSION or seen_at > now + MAX_CLOCK_SKEW:
        raise InvalidToken
    key = UUID(bytes=key_id)
    session = Session(None if key == _NO_KEY else key, UUID(bytes=session_id), begun_at, seen_at)
    if session.ends_at <= now:
        raise ExpiredToken
    return session


def csrf_token(keys: Sequence[bytes], session: Session) -> str:
    """What a page sends back with what it changes: no other page can read it. Made with the first of ``keys``."""
    return urlsafe_b64encode(_csrf(keys[0], session)).rstrip(b"=").decode()


def is_csrf_token(keys: Sequence[bytes], session: Session, text: str) -> bool:
    """Whether that is the session's, made with any of ``keys``."""
    return any(hmac.compare_digest(csrf_token([key], session).encode(), text.encode()) for key in keys)


def _csrf(key: bytes, session: Session) -> bytes:
    return hmac.digest(key, b"csrf: " + session.id.bytes, "sha256")
