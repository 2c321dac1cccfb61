"""The secrets that deliveries are signed with, and the public keys that belong to some of them.

Their forms are those of Standard Webhooks (https://www.standardwebhooks.com, specification 1.0.0): ``whsec_`` is a
shared key, ``whsk_`` the private and ``whpk_`` the public key of a pair (Ed25519), each with base64 behind it.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import secrets
from base64 import b64encode, urlsafe_b64encode
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kanca.domain.subscription import SignatureKind
from kanca.errors import InvalidSecret

SHARED_PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
MIN_LENGTH = 16
"""Characters of a secret of one's own."""
MAX_LENGTH = 512
MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64
"""Of what stands behind ``whsec_``: the specification says 192 to 512 bits."""

_SEED_BYTES = 32
_NEW_KEY_BYTES = 32


def new_secret(kind: SignatureKind) -> str:
    """A new random secret of that kind, of 256 bits: ``whsec_…``, or ``whsk_…`` for ``ed25519``."""
    key = secrets.token_bytes(_NEW_KEY_BYTES)
    if kind is SignatureKind.ED25519:
        private = Ed25519PrivateKey.from_private_bytes(key)
        return PRIVATE_PREFIX + b64encode(key + private.public_key().public_bytes_raw()).decode()
    return SHARED_PREFIX + b64encode(key).decode()


def check_secret(kind: SignatureKind, text: str) -> None:
    """Make sure that a secret can sign in that way.

    A shared one has 16 to 512 printable characters; one that begins with ``whsec_`` must be base64 of 24 to 64 bytes
    behind it. For ``ed25519`` it is ``whsk_`` and base64 of the seed and the public key, or of the seed alone.
    Raises InvalidSecret, whose sentence never quotes the secret.
    """
    if kind is SignatureKind.ED25519:
        private_key(text)
        return
    if not text.isprintable() or text != text.strip():
        raise InvalidSecret("The secret has blanks around it or unprintable characters in it.")
    if text.startswith((PRIVATE_PREFIX, PUBLIC_PREFIX)):
        raise InvalidSecret(f"A key that begins with `{text[:5]}` is for `signature: ed25519` only.")
    if text.startswith(SHARED_PREFIX):
        length = len(shared_key(text))
        if not MIN_KEY_BYTES <= length <= MAX_KEY_BYTES:
            allowed = f"{MIN_KEY_BYTES} to {MAX_KEY_BYTES}"
            raise InvalidSecret(f"The secret has {length} bytes behind `{SHARED_PREFIX}`, not {allowed}.")
    elif not MIN_LENGTH <= len(text) <= MAX_LENGTH:
        raise InvalidSecret(f"The secret has {len(text)} characters, not {MIN_LENGTH} to {MAX_LENGTH}.")


def shared_key(secret: str) -> bytes:
    """The key of Standard Webhooks that a shared secret stands for: what is behind ``whsec_``, else its text as UTF-8.

    Raises InvalidSecret.
    """
    if secret.startswith(SHARED_PREFIX):
        return _decoded(secret, SHARED_PREFIX)
    return secret.encode()


@lru_cache(maxsize=1024)
def private_key(secret: str) -> Ed25519PrivateKey:
    """The key of a ``whsk_…``. Raises InvalidSecret.

    Kept, because making it costs as much as signing does.
    """
    if not secret.startswith(PRIVATE_PREFIX):
        raise InvalidSecret(f"A secret for `signature: ed25519` begins with `{PRIVATE_PREFIX}`.")
    raw = _decoded(secret, PRIVATE_PREFIX)
    if len(raw) not in (_SEED_BYTES, 2 * _SEED_BYTES):
        raise InvalidSecret(f"The secret has {len(raw)} bytes behind `{PRIVATE_PREFIX}`, not 64 (or 32).")
    key = Ed25519PrivateKey.from_private_bytes(raw[:_SEED_BYTES])
    if raw[_SEED_BYTES:] not in (b"", key.public_key().public_bytes_raw()):
        raise InvalidSecret("The two halves of the secret do not belong together.")
    return key


def public_key(secret: str) -> str:
    """The ``whpk_…`` of a ``whsk_…``: what a receiver verifies with. Raises InvalidSecret."""
    return PUBLIC_PREFIX + b64encode(_public_bytes(secret)).decode()


def verifying_key(text: str) -> Ed25519PublicKey:
    """The key that a ``whpk_…`` is, or that belongs to a ``whsk_…``. Raises InvalidSecret."""
    if text.startswith(PRIVATE_PREFIX):
        return private_key(text).public_key()
    if not text.startswith(PUBLIC_PREFIX):
        raise InvalidSecret(f"A public key begins with `{PUBLIC_PREFIX}`.")
    raw = _decoded(text, PUBLIC_PREFIX)
    if len(raw) != _SEED_BYTES:
        raise InvalidSecret(f"The key has {len(raw)} bytes behind `{PUBLIC_PREFIX}`, not {_SEED_BYTES}.")
    return Ed25519PublicKey.from_public_bytes(raw)


def jwk(secret: str) -> dict[str, str]:
    """The public key of a ``whsk_…`` as a JSON Web Key (RFC 8037), named by its thumbprint (RFC 7638).

    Raises InvalidSecret.
    """
    required = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(_public_bytes(secret))}
    canonical = json.dumps(required, separators=(",", ":"), sort_keys=True).encode()
    thumbprint = _base64url(hashlib.sha256(canonical).digest())
    return required | {"kid": thumbprint, "use": "sig", "alg": "EdDSA"}


def _public_bytes(secret: str) -> bytes:
    return private_key(secret).public_key().public_bytes_raw()


def _decoded(secret: str, prefix: str) -> bytes:
    text = secret.removeprefix(prefix)
    try:  # not everybody writes the padding
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise InvalidSecret(f"The secret is not base64 behind `{prefix}`.") from None


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
