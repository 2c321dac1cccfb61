"""Places in the feed as they are told.

They are numbers for those who see the events of all tenants. For whoever is confined to one they are sealed: numbers
would count the events of the others, as they come.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

KEY_LABEL = "tail places"
"""What the keys are derived for (see ``SecretBox.derived``)."""
MAX_LENGTH = 256
"""Characters of a place."""


class Places:
    """How places are told to one caller."""

    def __init__(self, keys: Sequence[bytes] = (), tenant: str | None = None) -> None:
        """``tenant`` is what the caller is confined to; then ``keys`` of 32 bytes seal, the first of them anew."""
        self._seals = MultiFernet([Fernet(urlsafe_b64encode(key)) for key in keys]) if tenant else None
        self._tenant = (tenant or "").encode()

    @property
    def are_sealed(self) -> bool:
        """Whether the caller is to learn nothing from a place."""
        return self._seals is not None

    def told(self, number: int) -> str:
        """The place with that number."""
        if self._seals is None:
            return str(number)
        return self._seals.encrypt(b"%b %d" % (self._tenant, number)).decode()

    def read(self, text: str) -> int | None:
        """The number of a place that was told; None for what is none."""
        if self._seals is None:
            return int(text) if text.isascii() and text.isdecimal() else None
        try:
            tenant, _, number = self._seals.decrypt(text.encode()).rpartition(b" ")
        except InvalidToken:
            return None
        return int(number) if tenant == self._tenant else None
