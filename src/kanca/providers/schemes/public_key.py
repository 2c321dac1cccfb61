"""Schemes with a key pair: the provider signs with what only it has; what the endpoint has is no secret at all."""

from __future__ import annotations

import binascii
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kanca.errors import InvalidSecret
from kanca.providers.schemes.issued import Issued
from kanca.providers.schemes.signed_content import SignedContent
from kanca.providers.secret_format import SecretFormat

PublicKey = Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KeyForm = Literal["raw", "spki"]

_KEPT_KEYS = 1024


class PublicKeySignature(SignedContent, frozen=True):
    """What the schemes of this kind share. The key of a secret is what its text decodes to."""

    key_form: KeyForm = "spki"
    """``raw``: the bytes of the key (Ed25519); ``spki``: a SubjectPublicKeyInfo, as DER or PEM."""

    def __post_init__(self) -> None:
        """Raise ValueError where a signature would be the id: only who has the private key can make it again."""
        super().__post_init__()
        if self.signature_is_id:
            raise ValueError("signature_is_id is for secrets that both sides have")

    def key_problem(self, secret: SecretFormat, text: str) -> str | None:
        """Why the text is no public key of this kind."""
        key = secret.key(text)
        return (
            None
            if key and self.public_key(key)
            else "is not a public key of the kind that this provider uses"
        )

    def issue(self, secret: SecretFormat) -> Issued:
        """A new pair, each in the provider's form."""
        private = self.new_key()
        return Issued(
            secret.prefix + _in_form(secret, _private_bytes(private, self.key_form)),
            secret.prefix + _in_form(secret, _public_bytes(private.public_key(), self.key_form)),
        )

    def public_key(self, key: bytes) -> PublicKey | None:
        """The public key in these bytes; None when there is none of the scheme's kind."""
        public = _public_key(key, self.key_form)
        return public if public is not None and self.is_of_kind(public) else None

    def is_of_kind(self, key: PublicKey) -> bool:
        """Whether the scheme uses such keys."""
        raise NotImplementedError

    def new_key(self) -> PrivateKey:
        """A new private key."""
        raise NotImplementedError

    def is_right(self, key: PublicKey, signature: bytes, content: bytes) -> bool:
        """Whether the key made the signature."""
        raise NotImplementedError

    def is_among(self, signatures: Sequence[bytes], key: bytes, content: bytes) -> bool:
        """Whether one of the signatures is the key's over the content."""
        public = self.public_key(key)
        return public is not None and any(
            self.is_right(public, signature, content) for signature in signatures
        )


def _holds(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except InvalidSignature:
        return False
    return True


class Ed25519Signature(PublicKeySignature, frozen=True, tag="ed25519"):
    """Scheme ``ed25519`` (RFC 8032)."""

    key_form: KeyForm = "raw"

    def signature_bytes(self) -> int:
        """64 bytes."""
        return 64

    def is_of_kind(self, key: PublicKey) -> bool:
        """Whether it is an Ed25519 key."""
        return isinstance(key, Ed25519PublicKey)

    def new_key(self) -> PrivateKey:
        """A new private key."""
        return Ed25519PrivateKey.generate()

    def make(self, key: bytes, content: bytes) -> bytes:
        """The signature of the private key in ``key``."""
        private = _private_key(key, self.key_form)
        if not isinstance(private, Ed25519PrivateKey):
            raise _no_key("no Ed25519 private key")
        return private.sign(content)

    def is_right(self, key: PublicKey, signature: bytes, content: bytes) -> bool:
        """Whether the key made the signature."""
        return isinstance(key, Ed25519PublicKey) and _holds(lambda: key.verify(signature, content))


class EcdsaSignature(PublicKeySignature, frozen=True, tag="ecdsa"):
    """Scheme ``ecdsa``: curve P-256, SHA-256, the signature as DER (FIPS 186-5)."""

    def signature_bytes(self) -> None:
        """DER has no fixed length."""
        return

    def is_of_kind(self, key: PublicKey) -> bool:
        """Whether it is a key of the curve."""
        return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)

    def new_key(self) -> PrivateKey:
        """A new private key."""
        return ec.generate_private_key(ec.SECP256R1())

    def make(self, key: bytes, content: bytes) -> bytes:
        """The signature of the private key in ``key``."""
        private = _private_key(key, self.key_form)
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise _no_key("no private key of an elliptic curve")
        return private.sign(content, ec.ECDSA(hashes.SHA256()))

    def is_right(self, key: PublicKey, signature: bytes, content: bytes) -> bool:
        """Whether the key made the signature."""
        return isinstance(key, ec.EllipticCurvePublicKey) and _holds(
            lambda: key.verify(signature, content, ec.ECDSA(hashes.SHA256()))
        )


class RsaSignature(PublicKeySignature, frozen=True, tag="rsa"):
    """Scheme ``rsa``: PKCS #1 v1.5 with SHA-256 (RFC 8017, 8.2)."""

    def signature_bytes(self) -> None:
        """As long as the key."""
        return

    def is_of_kind(self, key: PublicKey) -> bool:
        """Whether it is an RSA key of a size that is not broken."""
        return isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048

    def new_key(self) -> PrivateKey:
        """A new private key."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def make(self, key: bytes, content: bytes) -> bytes:
        """The signature of the private key in ``key``."""
        private = _private_key(key, self.key_form)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise _no_key("no RSA private key")
        return private.sign(content, padding.PKCS1v15(), hashes.SHA256())

    def is_right(self, key: PublicKey, signature: bytes, content: bytes) -> bool:
        """Whether the key made the signature."""
        return isinstance(key, rsa.RSAPublicKey) and _holds(
            lambda: key.verify(signature, content, padding.PKCS1v15(), hashes.SHA256())
        )


@lru_cache(maxsize=_KEPT_KEYS)
def _public_key(key: bytes, form: KeyForm) -> PublicKey | None:
    try:
        if form == "raw":
            return Ed25519PublicKey.from_public_bytes(key)
        loader = serialization.load_pem_public_key if b"-----" in key else serialization.load_der_public_key
        public = loader(key)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return (
        public
        if isinstance(public, Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        else None
    )


def _private_key(key: bytes, form: KeyForm) -> object:
    try:
        if form == "raw":
            return Ed25519PrivateKey.from_private_bytes(key)
        loader = serialization.load_pem_private_key if b"-----" in key else serialization.load_der_private_key
        return loader(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _no_key(what: str) -> InvalidSecret:
    return InvalidSecret(f"The secret is {what}.")


def _public_bytes(key: PublicKey, form: KeyForm) -> bytes:
    if form == "raw":
        return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _private_bytes(key: PrivateKey, form: KeyForm) -> bytes:
    encoding = serialization.Encoding.Raw if form == "raw" else serialization.Encoding.DER
    layout = serialization.PrivateFormat.Raw if form == "raw" else serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, layout, serialization.NoEncryption())


def _in_form(secret: SecretFormat, key: bytes) -> str:
    return key.hex() if secret.key_encoding == "hex" else binascii.b2a_base64(key, newline=False).decode()
