"""Tokens that prove by themselves that Kanca made them: what they say, and HMAC-SHA256 over all of it.

Written as URL-safe base64 without padding (RFC 4648, section 5). Keys rotate: the first makes, all read.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

_MAC_BYTES = 32
_TEXT = re.compile(r"[A-Za-z0-9_-]{1,400}")


class InvalidToken(ValueError):
    """It is no token, or none that was made with any of the keys."""


class ExpiredToken(ValueError):
    """It was made with one of the keys, and its time is over."""


def signed(keys: Sequence[bytes], content: bytes) -> str:
    """The token that says ``content``, made with the first of ``keys``."""
    return urlsafe_b64encode(content + _mac(keys[0], content)).rstrip(b"=").decode()


def signed_content(keys: Sequence[bytes], text: str) -> bytes:
    """What a token says that was made with any of ``keys``. Raises InvalidToken."""
    if not _TEXT.fullmatch(text):
        raise InvalidToken
    try:
        whole = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise InvalidToken from None
    content, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
    # Every key is tried whatever the others say, and no two texts stand for the same token.
    fits = [hmac.compare_digest(_mac(key, content), mac) for key in keys]
    if not any(fits) or urlsafe_b64encode(whole).rstrip(b"=").decode() != text:
        raise InvalidToken
    return content


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")
