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
Length = Annotated[int, Meta(ge=1, le=4096)]
Part = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,40}\Z")]

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
    second_key_encoding: KeyEncoding | None = None
    """Another way to read the key, of a provider that uses both."""
    published: tuple[str, ...] = ()
    """Secrets of the provider's own tests, which everybody knows: an endpoint cannot have one."""
    parts: Annotated[tuple[Part, ...], Meta(max_length=4)] = ()
    """Names of the parts of a secret that is several joined by ``:``, such as ``merchant_key:merchant_salt``.

    The first is the key; the last one may have colons of its own.
    """

    def __post_init__(self) -> None:
        """Raise ValueError for a form that no secret can have."""
        if self.min_length > self.max_length:
            raise ValueError("min_length is above max_length")
        if len(self.parts) == 1 or len(set(self.parts)) < len(self.parts):
            raise ValueError("parts are the names of at least two parts, all different")

    def keys(self, secret: str) -> tuple[bytes, ...]:
        """The keys that a secret may stand for, each different; none when it is empty or does not decode."""
        if not self.second_key_encoding and not self.parts:
            key = self._decoded(secret, self.key_encoding)
            return (key,) if key else ()
        text = self.split(secret).get("", "")
        keys = [
            self._decoded(text, encoding)
            for encoding in (self.key_encoding, self.second_key_encoding)
            if encoding
        ]
        return tuple(dict.fromkeys(key for key in keys if key))

    def key(self, secret: str) -> bytes | None:
        """The key to sign with; None when there is none."""
        return next(iter(self.keys(secret)), None)

    def split(self, secret: str) -> dict[str, str]:
        """The parts by name, the first under the empty name too; empty when there are too few."""
        if not self.parts:
            return {"": secret}
        texts = secret.split(":", len(self.parts) - 1)
        if len(texts) < len(self.parts) or not all(texts):
            return {}
        return {"": texts[0], **dict(zip(self.parts, texts, strict=True))}

    def _decoded(self, secret: str, encoding: KeyEncoding) -> bytes | None:
        if encoding == "utf8":
            return secret.encode("utf-8", "surrogatepass") or None
        text = secret.removeprefix(self.prefix)
        try:
            if encoding == "hex":
                return binascii.unhexlify(text) or None
            return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True) or None
        except ValueError:
            return None

    def problem(self, secret: str) -> str | None:
        """Why this cannot be a secret of the provider: the end of a sentence that never quotes it. None when it can."""
        if not secret.isprintable() or secret != secret.strip():
            return "has blanks around it or unprintable characters in it"
        if secret in self.published:
            return "is one that the provider publishes, so that anybody could sign with it"
        if self.prefix_required and not secret.startswith(self.prefix):
            return f"does not start with `{self.prefix}`"
        if self.parts and not self.split(secret):
            return f"is not of the form `{':'.join(self.parts)}`"
        text = secret.removeprefix(self.prefix)
        alphabet = self.alphabet
        if self.key_encoding != "utf8" and self.second_key_encoding is None and not self.parts:
            alphabet = self.key_encoding
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
        if self.parts:
            return ":".join(secrets.token_hex(_NEW_KEY_BYTES // 2) for _ in self.parts)
        if self.key_encoding == "base64":
            return self.prefix + b64encode(key[:_NEW_KEY_BYTES]).decode()
        return self.prefix + key.hex()[: max(self.min_length, min(self.max_length, 2 * _NEW_KEY_BYTES))]

    def _behind_prefix(self) -> str:
        return f" after `{self.prefix}`" if self.prefix else ""
