"""Scheme ``hash``: a plain hash of the signed content, of which the secret is a part. Older senders do so."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from kanca.providers.schemes.content import content_slots
from kanca.providers.schemes.hmac import Algorithm
from kanca.providers.schemes.signed_content import SignedContent


class HashSignature(SignedContent, frozen=True, tag="hash"):
    """A hash. The algorithm is the spec's; no request can choose another."""

    algorithm: Algorithm = "sha256"

    def __post_init__(self) -> None:
        """Raise ValueError when there is no secret in it: anybody could make such a hash."""
        super().__post_init__()
        if "secret" not in {slot.name for slot in content_slots(self.templates())}:
            raise ValueError("signed_content has no {secret}: anybody could make this hash")

    def signature_bytes(self) -> int:
        """The length of the hash."""
        return hashlib.new(self.algorithm, usedforsecurity=False).digest_size

    def make(self, _key: bytes, content: bytes) -> bytes:
        """The hash of the content."""
        return hashlib.new(self.algorithm, content).digest()

    def is_among(self, signatures: Sequence[bytes], key: bytes, content: bytes) -> bool:
        """Whether one of the signatures is the hash of the content; all are compared, each in constant time."""
        expected = self.make(key, content)
        found = False
        for signature in signatures:
            found |= hmac.compare_digest(expected, signature)
        return found
