"""What is verified, and what verifying answers: a request in, ``Verified`` or a ``Refusal`` out.

A refusal is a value, not an exception: refusing is ordinary work on the hot path. Its code is stable; its detail is
for the endpoint's operator and is never shown to the caller. No detail holds a secret, a computed signature, or text
that the caller chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


class SignedRequest(Struct, frozen=True):
    """A request as it was received."""

    method: str
    url: str
    """The public URL that the sender was given, with its query: some senders sign it."""
    headers: Mapping[bytes, bytes]
    """By lower-case name. One that came several times is joined with ``, ``, as HTTP says."""
    body: bytes
    """The exact bytes, after HTTP content decoding and before anything else."""


class RefusalCode(StrEnum):
    """Why a request was refused. Codes never change their meaning."""

    SIGNATURE_MISSING = "signature_missing"
    """The header that carries the signature is not there."""
    SIGNATURE_MALFORMED = "signature_malformed"
    """The header is too long, has too many signatures, or none that has the scheme's form and length."""
    SIGNATURE_MISMATCH = "signature_mismatch"
    """No live secret gives any of the signatures: a wrong secret, or the request was changed."""
    SIGNED_HEADER_MISSING = "signed_header_missing"
    """A header that the signature covers is not there."""
    SIGNED_HEADER_MALFORMED = "signed_header_malformed"
    """A header that the signature covers could be confused with what is signed behind it."""
    TIMESTAMP_MISSING = "timestamp_missing"
    """The signed time is not there."""
    TIMESTAMP_MALFORMED = "timestamp_malformed"
    """The signed time is not in the provider's form."""
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    """The signature is right, but older than the tolerance: a late delivery, a wrong clock, or a replay."""
    TIMESTAMP_IN_FUTURE = "timestamp_in_future"
    """The signature is right, but its time has not come: one of the two clocks is wrong."""
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a code, no token
    """The header that carries the token is not there."""
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a code, no token
    """The header that carries the token has another form, such as another authentication scheme."""
    TOKEN_MISMATCH = "token_mismatch"  # noqa: S105 - a code, no token
    """The token is none of the live ones."""
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a code, no secret
    """The endpoint has no secret to check with."""
    SECRET_UNUSABLE = "secret_unusable"  # noqa: S105 - a code, no secret
    """None of the endpoint's secrets can be a key of this provider."""


class Refusal(Struct, frozen=True):
    """The request is not proven to come from the provider, so nothing may come of it."""

    code: RefusalCode
    detail: str
    """A sentence for the operator: "timestamp is 412 s old, tolerance 300 s"."""


class Verified(Struct, frozen=True):
    """The request comes from somebody who knows a live secret (or the provider proves nothing: scheme ``none``)."""

    secret_index: int | None = None
    """Which of the secrets it was; None where there is nothing to prove."""
    signed_at: float | None = None
    """The signed time in Unix seconds; None where none is signed."""
    signed_id: bytes | None = None
    """The delivery id that the signature covers, as received; None where it covers none."""


Verdict = Verified | Refusal
