"""Keys of signed tokens: those of a JWK set (RFC 7517) by name, and those of shared secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Algorithm = Literal["HS256", "RS256", "ES256"]
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Key = PublicKey | bytes

REHEARSAL = "rehearsal"
"""The name of keys that were made here."""

_MOST_KEYS = 100
_KEPT_SETS = 32
_LEAST_RSA_BITS = 2048
_LEAST_HMAC_BYTES = 64
_KINDS = {"RS256": "RSA", "ES256": "EC"}


@lru_cache(maxsize=_KEPT_SETS)
def keys_in(document: bytes, algorithm: Algorithm) -> Mapping[str, PublicKey]:
    """The public keys of a set that sign by the algorithm, by name; empty when it is no set."""
    try:
        entries = json.loads(document).get("keys")
    except (ValueError, AttributeError, RecursionError):
        return {}
    found = {}
    for entry in entries[:_MOST_KEYS] if isinstance(entries, list) else ():
        key = _key(entry, algorithm) if isinstance(entry, dict) else None
        if key is not None and isinstance(entry.get("kid"), str):
            found[entry["kid"]] = key
    return found


def issue_key(algorithm: Algorithm) -> tuple[bytes, bytes]:
    """A new private key (PKCS #8, DER), and a set with its public one."""
    private: PrivateKey
    if algorithm == "RS256":
        private = rsa.generate_private_key(public_exponent=65537, key_size=_LEAST_RSA_BITS)
        public: dict[str, Any] = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    else:
        private = ec.generate_private_key(ec.SECP256R1())
        public = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    der = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key_set = {"keys": [{**public, "kid": REHEARSAL, "alg": algorithm, "use": "sig"}]}
    return der, json.dumps(key_set).encode()


def hmac_key(secret: bytes) -> bytes:
    """The same key for an HMAC (RFC 2104 pads it so), long enough that no library warns of it."""
    return secret.ljust(_LEAST_HMAC_BYTES, b"\0")


def private_key(der: bytes) -> PrivateKey:
    """The private key in these bytes. Raises ValueError when there is none."""
    key = serialization.load_der_private_key(der, password=None)
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("no RSA key, and none of a curve")  # noqa: TRY004 - of the value, not of its type
    return key


def _key(entry: Mapping[str, Any], algorithm: Algorithm) -> PublicKey | None:
    is_meant = entry.get("use", "sig") == "sig" and entry.get("alg", algorithm) == algorithm
    if not is_meant or entry.get("kty") != _KINDS.get(algorithm):
        return None
    try:
        key = jwt.PyJWK(dict(entry), algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS:
        return key
    is_curve = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    return key if is_curve else None
