"""What a signed token says: its claims, and its times (RFC 7519, section 4)."""

from __future__ import annotations

import hashlib
import hmac
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from kanca.providers.template import Slot, parse_template, slots_of
from kanca.providers.verdict import Refusal, RefusalCode

Claim = bool | str | tuple[str, ...]
"""What a claim must be: a truth, a text, or one of several texts; ``{secret:part}`` is that part of the secret."""
HashEncoding = Literal["hex", "base64"]


def names_secret(claim: Claim) -> bool:
    """Whether a claim depends on the secret. Raises ValueError for what is no template."""
    texts = (value for value in _values(claim) if isinstance(value, str))
    return bool([slot for text in texts for slot in slots_of(parse_template(text, {"secret": None}))])


def wanted_claims(claims: Mapping[str, Claim], parts: Mapping[str, str]) -> dict[str, list[bool | str]]:
    """What each claim may be, with the parts of a secret filled in."""
    return {name: [_filled(value, parts) for value in _values(claim)] for name, claim in claims.items()}


def hash_of(content: bytes, encoding: HashEncoding) -> str:
    """A SHA-256, as a claim has it."""
    digest = hashlib.sha256(content).digest()
    return digest.hex() if encoding == "hex" else b64encode(digest).decode()


def has_hash(said: object, content: bytes, encoding: HashEncoding) -> bool:
    """Whether a claim is the hash of the content."""
    right = hash_of(content, encoding).encode()
    return isinstance(said, str) and hmac.compare_digest(said.encode("utf-8", "surrogatepass"), right)


def _values(claim: Claim) -> tuple[bool | str, ...]:
    return claim if isinstance(claim, tuple) else (claim,)


def _filled(value: bool | str, parts: Mapping[str, str]) -> bool | str:
    if isinstance(value, bool):
        return value
    return "".join(
        parts.get(part.argument, "") if isinstance(part, Slot) else part
        for part in parse_template(value, {"secret": None})
    )


def says(claims: Mapping[str, Any], name: str, wanted: Sequence[bool | str]) -> bool:
    """Whether a claim has one of the values; of an audience that is a list any may be it (RFC 7519, 4.1.3)."""
    said = claims.get(name)
    values = said if name == "aud" and isinstance(said, list) else [said]
    return any(type(value) is type(one) and value == one != "" for value in values for one in wanted)


def time_of(value: object) -> float | None:
    """A claim that is a time, in Unix seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) else None


def refuse_times(
    claims: Mapping[str, Any], now: float, leeway_seconds: int, *, has_expiry: bool
) -> Refusal | None:
    """A refusal of a token that is not valid at ``now`` (Unix seconds), or does not say how long it is."""
    ends_at = time_of(claims.get("exp"))
    if ends_at is None and ("exp" in claims or has_expiry):
        return _ended("the token does not say when it ends")
    if ends_at is not None and now > ends_at + leeway_seconds:
        return _ended(f"the token ended {math.ceil(now - ends_at)} s ago")
    for name in ("nbf", "iat"):
        begins_at = time_of(claims.get(name))
        if begins_at is None and name in claims:
            return _ended(f"the token's `{name}` is no time")
        if begins_at is not None and begins_at > now + leeway_seconds:
            return _ended(f"the token begins in {math.ceil(begins_at - now)} s")
    return None


def _ended(detail: str) -> Refusal:
    return Refusal(RefusalCode.TOKEN_EXPIRED, detail)
