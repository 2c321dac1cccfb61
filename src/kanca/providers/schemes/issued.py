"""A new secret for a rehearsal: to sign with, and to be checked by."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Issued(Struct, frozen=True):
    """What a provider has, and what its receivers have of it. The same text, where both share a secret."""

    signing: str
    """What is signed with: a shared secret, or a private key."""
    checking: str
    """What an endpoint checks with: a shared secret, or the public key."""
    documents: Mapping[str, bytes] = {}
    """What a receiver would fetch from the provider, by URL: a certificate, a set of keys."""

    @property
    def is_shared(self) -> bool:
        """Whether both sides have the same secret, so that an endpoint's own is enough to sign with."""
        return self.signing == self.checking
