"""How the bytes of a signature are written in a header."""

from __future__ import annotations

import binascii
from typing import Literal

Encoding = Literal["hex", "base64", "base64url"]

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")


def decode(text: bytes, encoding: Encoding) -> bytes | None:
    """The bytes that ``text`` stands for, or None: blanks, foreign characters and loose ends are not forgiven.

    Hexadecimal digits may be of either case; ``base64url`` may come without its padding. Else bytes have one text only:
    the bits that base64 leaves unused are zero (RFC 4648, 3.5).
    """
    try:
        if encoding == "hex":
            return binascii.unhexlify(text)
        if encoding == "base64url":
            if b"+" in text or b"/" in text:
                return None
            padding = b"=" * (-len(text) % 4)
            text = text.translate(_TO_STANDARD) + padding
        decoded = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return decoded if binascii.b2a_base64(decoded, newline=False) == text else None


def encode(signature: bytes, encoding: Encoding) -> str:
    """The text of a signature: lower-case hex, padded base64, or unpadded base64url."""
    if encoding == "hex":
        return signature.hex()
    text = binascii.b2a_base64(signature, newline=False)
    if encoding == "base64url":
        text = text.translate(_TO_URL).rstrip(b"=")
    return text.decode()
