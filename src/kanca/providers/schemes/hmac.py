"""Scheme ``hmac``: a hash of the signed content, keyed with a secret that both sides know (RFC 2104)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal

from kanca.providers.schemes.signed_content import SignedContent

Algorithm = Literal["sha256", "sha1", "sha512"]


class HmacSignature(SignedContent, frozen=True, tag="hmac"):
    """An HMAC. The algorithm is the spec's; no request can choose another."""

    algorithm: Algorithm = "sha256"

    def signature_bytes(self) -> int:
        """The length of the hash."""
        return hashlib.new(self.algorithm, usedforsecurity=False).digest_size

    def make(self, key: bytes, content: bytes) -> bytes:
        """The HMAC of the content."""
        return hmac.digest(key, content, self.algorithm)

    def is_among(self, signatures: Sequence[bytes], key: bytes, content: bytes) -> bool:
        """Whether one of the signatures is the HMAC of the content; all are compared, each in constant time."""
        expected = hmac.digest(key, content, self.algorithm)
        found = False
        for signature in signatures:
            found |= hmac.compare_digest(expected, signature)
        return found
