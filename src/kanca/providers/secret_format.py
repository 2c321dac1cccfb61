"""What a provider's secrets look like, and how the text of one becomes the bytes of a key."""

from __future__ import annotations

import binascii
import secrets
import string
from base64 import b64encode
from typing import Annotated, Literal

from msgspec import Meta, Struct

KeyEncoding = Literal["utf8", "base64", "hex"]
Alphabet = Literal["any", "word", "hex", "base64"]
Length = Annotated[int, Meta(ge=1, le=1024)]

_ALPHABETS = {
    "word": ("letters, digits and _", frozenset(string.ascii_letters + string.digits + "_")),
    "hex": ("hexadecimal digits", frozenset(string.hexdigits)),
    "base64": ("base64", frozenset(string.ascii_letters + string.digits + "+/=")),
}
_NEW_KEY_BYTES = 32


class SecretFormat(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The form of a provider's secrets. Lengths and alphabet are of what follows the prefix."""

    where: str = ""
    """Where at the provider the secret is found or set, for messages and docs."""
    is_issued: bool = False
    """Only the provider makes them: one that was made up here would never fit."""
    prefix: str = ""
    prefix_required: bool = True
    alphabet: Alphabet = "any"
    min_length: Length = 6
    """A floor that catches half-pasted secrets; no documented provider allows fewer."""
    max_length: Length = 512
    key_encoding: KeyEncoding = "utf8"
    """``utf8``: the whole text is the key, prefix and all. Else what follows the prefix is decoded."""

    def __post_init__(self) -> None:
        if self.min_length > self.max_length:
            raise ValueError("min_length is above max_length")

    def key(self, secret: str) -> bytes | None:
        """The key that a secret stands for; None when it is empty or does not decode."""
        if self.key_encoding == "utf8":
            return secret.encode("utf-8", "surrogatepass") or None
        text = secret.removeprefix(self.prefix)
        try:
            if self.key_encoding == "hex":
                return binascii.unhexlify(text) or None
            return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True) or None
        except ValueError:
            return None

    def problem(self, secret: str) -> str | None:
        """Why this cannot be a secret of the provider: the end of a sentence that never quotes it. None when it can."""
        if not secret.isprintable() or secret != secret.strip():
            return "has blanks around it or unprintable characters in it"
        if self.prefix_required and not secret.startswith(self.prefix):
            return f"does not start with `{self.prefix}`"
        text = secret.removeprefix(self.prefix)
        alphabet = self.key_encoding if self.key_encoding != "utf8" else self.alphabet
        if alphabet in _ALPHABETS and not _ALPHABETS[alphabet][1].issuperset(text):
            return f"has characters that are not {_ALPHABETS[alphabet][0]}{self._behind_prefix()}"
        if not self.min_length <= len(text) <= self.max_length:
            allowed = f"{self.min_length} to {self.max_length}"
            return f"has {len(text)} characters{self._behind_prefix()}, not {allowed}"
        if self.key(secret) is None:
            return f"is not {self.key_encoding}{self._behind_prefix()}"
        return None

    def generate(self) -> str:
        """A new random secret of this form, of 256 bits where the form has room for them."""
        key = secrets.token_bytes(max(_NEW_KEY_BYTES, self.min_length))
        if self.key_encoding == "base64":
            return self.prefix + b64encode(key[:_NEW_KEY_BYTES]).decode()
        return self.prefix + key.hex()[: max(self.min_length, min(self.max_length, 2 * _NEW_KEY_BYTES))]

    def _behind_prefix(self) -> str:
        return f" after `{self.prefix}`" if self.prefix else ""
