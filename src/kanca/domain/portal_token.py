"""Portal tokens: with one, a tenant manages and inspects its own subscriptions and deliveries, and nothing else.

A token names the tenant, says until when it counts, and whether it may change anything. Nothing of it is stored.

    kpt_ · version 1 · expiry 8 (µs since 1970) · may only read 1 · tenant · HMAC 32

as ``kanca.domain.signed_token`` writes it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from kanca.domain.ids import CHOSEN_ID
from kanca.domain.signed_token import ExpiredToken, InvalidToken, signed, signed_content

PREFIX = "kpt_"
KEY_LABEL = "portal tokens"
"""What the keys are derived for (see ``SecretBox.derived``)."""

_HEAD = struct.Struct(">Bq?")
_VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class PortalToken(NamedTuple):
    """What a token says."""

    tenant: str
    expires_at: datetime
    is_read_only: bool = False


def make_token(keys: Sequence[bytes], token: PortalToken) -> str:
    """The text of a token, made with the first of ``keys``.

    Raises ValueError for a tenant or a moment that cannot be.
    """
    if not CHOSEN_ID.fullmatch(token.tenant) or token.expires_at.tzinfo is None:
        raise ValueError("no token can say this")
    expires_us = (token.expires_at - _EPOCH) // _MICROSECOND
    head = _HEAD.pack(_VERSION, expires_us, token.is_read_only)
    return PREFIX + signed(keys, head + token.tenant.encode())


def read_token(keys: Sequence[bytes], text: str, now: datetime) -> PortalToken:
    """What a token says that was made with any of ``keys``. Raises InvalidToken, and ExpiredToken for ``now``."""
    if not text.startswith(PREFIX):
        raise InvalidToken
    content = signed_content(keys, text.removeprefix(PREFIX))
    try:
        version, expires_us, is_read_only = _HEAD.unpack_from(content)
        tenant = content[_HEAD.size :].decode()
        expires_at = _EPOCH + expires_us * _MICROSECOND
    except (struct.error, UnicodeDecodeError, OverflowError):
        raise InvalidToken from None
    if version != _VERSION or not CHOSEN_ID.fullmatch(tenant):
        raise InvalidToken
    if expires_at <= now:
        raise ExpiredToken
    return PortalToken(tenant, expires_at, is_read_only)
