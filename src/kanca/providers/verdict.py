"""What is verified, and what verifying answers: a request in; ``Verified``, a ``Refusal`` or a ``KeyNeeded`` out.

A refusal is a value, not an exception: refusing is ordinary work on the hot path. Its code is stable; its detail is
for the endpoint's operator and is never shown to the caller. No detail holds a secret, a computed signature, or text
that the caller chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import parse_qsl, urlsplit

from msgspec import UNSET, Struct, UnsetType

from kanca.bodies import Body, Unreadable, read_body

MOST_QUERY_FIELDS = 100


class SignedRequest(Struct):
    """A request as it was received."""

    method: str
    url: str
    """The public URL that the sender was given, with its query: some senders sign it."""
    headers: Mapping[bytes, bytes]
    """By lower-case name. One that came several times is joined with ``, ``, as HTTP says."""
    body: bytes
    """The exact bytes, after HTTP content decoding and before anything else."""
    documents: Mapping[str, bytes] = {}
    """What was fetched for a ``KeyNeeded``, by its URL."""
    _read: Body | Unreadable | UnsetType = UNSET
    _query: Mapping[str, str] | UnsetType = UNSET

    def read(self) -> Body:
        """What the body says, read when first asked for. Raises Unreadable."""
        if self._read is UNSET:
            try:
                self._read = read_body(self.body, self.headers.get(b"content-type"))
            except Unreadable as error:
                self._read = error
        if isinstance(self._read, Unreadable):
            raise self._read
        return self._read

    def document(self) -> object:
        """What the body says; None when it says nothing that can be read."""
        try:
            return self.read().document
        except Unreadable:
            return None

    def query(self) -> Mapping[str, str]:
        """The fields of the query, the last of each name; empty when they cannot be read, or are too many."""
        if self._query is UNSET:
            try:
                fields = parse_qsl(
                    urlsplit(self.url).query, keep_blank_values=True, max_num_fields=MOST_QUERY_FIELDS
                )
            except ValueError:
                fields = []
            self._query = dict(fields)
        return self._query


class RefusalCode(StrEnum):
    """Why a request was refused. Codes never change their meaning."""

    SIGNATURE_MISSING = "signature_missing"
    """What carries the signature (a header, a field) is not there."""
    SIGNATURE_MALFORMED = "signature_malformed"
    """The signature is too long, there are too many, or none has the scheme's form and length."""
    SIGNATURE_MISMATCH = "signature_mismatch"
    """No live secret gives any of the signatures: a wrong secret, or the request was changed."""
    SIGNED_HEADER_MISSING = "signed_header_missing"
    """A header that the signature covers is not there."""
    SIGNED_HEADER_MALFORMED = "signed_header_malformed"
    """A header that the signature covers could be confused with what is signed behind it."""
    SIGNED_FIELD_MISSING = "signed_field_missing"
    """A field of the body or the query that the signature covers is not there."""
    TIMESTAMP_MISSING = "timestamp_missing"
    """The signed time is not there."""
    TIMESTAMP_MALFORMED = "timestamp_malformed"
    """The signed time is not in the provider's form."""
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    """The signature is right, but older than the tolerance: a late delivery, a wrong clock, or a replay."""
    TIMESTAMP_IN_FUTURE = "timestamp_in_future"
    """The signature is right, but its time has not come: one of the two clocks is wrong."""
    TOKEN_MISSING = "token_missing"  # noqa: S105 - a code, no token
    """What carries the token is not there."""
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - a code, no token
    """The token has another form, such as another authentication scheme."""
    TOKEN_MISMATCH = "token_mismatch"  # noqa: S105 - a code, no token
    """The token is none of the live ones."""
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a code, no token
    """A signed token is right, but was valid at another time."""
    CLAIM_MISMATCH = "claim_mismatch"
    """The proof is right, but is for somebody else: another audience, sender, topic or body."""
    KEY_REFUSED = "key_refused"
    """The request names a certificate or key that its provider would not use."""
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


class KeyNeeded(Struct, frozen=True):
    """The verdict needs a public document of the provider's: its certificate, or its set of keys.

    Whoever asked gets it, puts it into the request's ``documents``, and asks again.
    """

    url: str
    """HTTPS, and on a host that the provider's spec allows: nothing that a caller can choose freely."""
    is_outdated: bool = False
    """What was there does not have the key in question: only a newer copy can help."""


Verdict = Verified | Refusal | KeyNeeded
