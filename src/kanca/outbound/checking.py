"""Whether a delivery is what its signature says, in words: what a receiver does, for those who look for its mistake."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature

from kanca.outbound.keys import PRIVATE_PREFIX, PUBLIC_PREFIX, SHARED_PREFIX, shared_key, verifying_key
from kanca.outbound.signing import HEX_HEADER, ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, sign_hex

TOLERANCE_S = 300
"""How far the moment of an attempt may be from now: what the libraries of Standard Webhooks take."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of a check."""

    is_proven: bool
    reason: str
    """Why, or why not; it never quotes the secret."""


def check(
    headers: Mapping[str, str], body: bytes, secret: str, now: float, hex_header: str = HEX_HEADER
) -> Checked:
    """Check a delivery by its signature; ``headers`` have lower-case names, ``now`` is in Unix seconds.

    ``secret`` is what the subscription's are, or a public key (``whpk_…``). Where there are signatures of Standard
    Webhooks they count; ``hex_header`` does where there are none. Raises InvalidSecret.
    """
    if SIGNATURE_HEADER in headers:
        return _check_standard(headers, body, secret, now)
    if hex_header.lower() not in headers:
        return Checked(False, f"there is neither {SIGNATURE_HEADER} nor {hex_header}: nothing is signed")
    if secret.startswith((PUBLIC_PREFIX, PRIVATE_PREFIX)):
        return Checked(False, f"{hex_header} is made with a shared secret, and this is a key of a pair")
    given = headers[hex_header.lower()].strip()
    if hmac.compare_digest(sign_hex(secret, body).encode(), given.encode()):
        return Checked(True, f"{hex_header} fits the body and the secret")
    return Checked(False, f"{hex_header} does not fit: the secret is another one, or the body was changed")


def _check_standard(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> Checked:
    missing = [name for name in (ID_HEADER, TIMESTAMP_HEADER) if not headers.get(name)]
    if missing:
        return Checked(False, f"{missing[0]} is missing, which is signed too")
    written = headers[TIMESTAMP_HEADER]
    if not (written.isascii() and written.isdigit() and len(written) <= 12):
        return Checked(False, f"{TIMESTAMP_HEADER} is not a number of Unix seconds")
    version = "v1a" if secret.startswith((PUBLIC_PREFIX, PRIVATE_PREFIX)) else "v1"
    pairs = [entry.partition(",") for entry in headers[SIGNATURE_HEADER].split()]
    given = [signature for name, _, signature in pairs if name == version]
    if not given:
        others = ", ".join(sorted({name for name, _, _ in pairs})) or "nothing"
        wanted = "a public key (whpk_…)" if version == "v1" else "the shared secret"
        return Checked(False, f"{SIGNATURE_HEADER} has {others}, and no {version}: check it with {wanted}")
    content = b"%b.%b.%b" % (headers[ID_HEADER].encode(), written.encode(), body)
    fits = _fits_v1a if version == "v1a" else _fits_v1
    if not any(fits(secret, content, _decoded(signature)) for signature in given):
        return Checked(False, f"no {version} signature fits: {_hint(secret, content, given)}")
    away = int(abs(now - int(written)))
    if away > TOLERANCE_S:
        return Checked(
            False, f"the {version} signature fits, but {TIMESTAMP_HEADER} is {away} s away from now"
        )
    which = f" ({len(given)} signatures: the secret is being rotated)" if len(given) > 1 else ""
    return Checked(True, f"the {version} signature fits{which}")


def _hint(secret: str, content: bytes, given: list[str]) -> str:
    """What may be wrong."""
    if secret.startswith(SHARED_PREFIX):
        as_text = hmac.digest(secret.encode(), content, "sha256")
        if any(hmac.compare_digest(as_text, _decoded(signature)) for signature in given):
            return f"it was made with the secret's text; the key is the base64 behind `{SHARED_PREFIX}`"
    return "the secret is another one, or the body was changed (even a blank counts)"


def _fits_v1(secret: str, content: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(hmac.digest(shared_key(secret), content, "sha256"), signature)


def _fits_v1a(key: str, content: bytes, signature: bytes) -> bool:
    try:
        verifying_key(key).verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _decoded(signature: str) -> bytes:
    try:
        return b64decode(signature, validate=True)
    except ValueError:
        return b""
