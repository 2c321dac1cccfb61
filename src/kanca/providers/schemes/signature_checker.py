"""What checks all schemes that sign parts of the request.

It reads what a request claims, builds what was signed, and judges the time; the arithmetic is the scheme's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kanca.providers.locations import header_key
from kanca.providers.schemes.content import Secret, content_slots
from kanca.providers.schemes.encoding import decode
from kanca.providers.schemes.header_form import HeaderForm
from kanca.providers.secret_format import SecretFormat
from kanca.providers.verdict import KeyNeeded, Refusal, RefusalCode, SignedRequest, Verdict, Verified

if TYPE_CHECKING:
    from kanca.providers.schemes.signed_content import SignedContent


MOST_KNOWN_SECRETS = 20
"""More than an endpoint has at once; a verifier that is asked about others keeps no more than these."""


class SignatureChecker:
    """Checks one kind of signature. The hot path: nothing is worked out here that could be before."""

    missing = RefusalCode.SIGNATURE_MISSING

    def __init__(self, signature: SignedContent, secret: SecretFormat) -> None:
        place = signature.place()
        self.place_name = place.name
        self.find: Callable[[SignedRequest], bytes | None] = place.find
        self._signature = signature
        self._secret = secret
        self._keys: dict[str, tuple[bytes, ...]] = {}
        self._form = HeaderForm(signature.form, signature.separator)
        self._content = signature.builder()
        self._length = signature.signature_bytes()
        self._timestamp = signature.timestamp
        self._timestamp_header = header_key(signature.timestamp.header if signature.timestamp else None)
        self._reads_time_first = any(
            slot.name == "timestamp" for slot in content_slots(signature.templates())
        )
        self._id_header = header_key(signature.id_header)

    def check(self, request: SignedRequest, value: bytes, secrets: Sequence[str], now: float) -> Verdict:
        """Judge the request by what is in the signature's place. Never raises for what a caller can send."""
        claim = self._form.read(value)
        if isinstance(claim, Refusal):
            return claim
        signatures = self._decoded(claim.signatures)
        if not signatures:
            size = "" if self._length is None else f"{self._length} bytes of "
            detail = f"no signature in the {self.place_name} is {size}{self._signature.encoding}"
            return Refusal(RefusalCode.SIGNATURE_MALFORMED, detail)
        written = self._written(request, claim.timestamp)
        signed_at = self._read_time(written)
        if isinstance(signed_at, Refusal):
            return signed_at
        secret_index = self._match(request, signatures, secrets, written or b"")
        if not isinstance(secret_index, int):
            return secret_index
        if self._timestamp is not None:
            if signed_at is None:
                signed_at = self._timestamp.read_body(request)
                if isinstance(signed_at, Refusal):
                    return signed_at
            late = self._timestamp.judge(signed_at, now)
            if late is not None:
                return late
        signed_id = request.headers.get(self._id_header) if self._id_header else None
        if self._signature.signature_is_id:
            signed_id = self._identity(request, signatures, secrets[secret_index], written or b"")
        return Verified(secret_index, signed_at, signed_id)

    def _decoded(self, texts: list[bytes]) -> list[bytes]:
        """The signatures of the right length; the others cannot be right."""
        decoded = (decode(text, self._signature.encoding) for text in texts)
        return [
            signature
            for signature in decoded
            if signature and (self._length is None or len(signature) == self._length)
        ]

    def _written(self, request: SignedRequest, in_form: bytes | None) -> bytes | None:
        """The time as it is written, where it must be read before what was signed is known."""
        if self._timestamp_header:
            return request.headers.get(self._timestamp_header)
        if self._timestamp is not None and self._timestamp.body and self._reads_time_first:
            return self._timestamp.written_in_body(request)
        return in_form

    def _read_time(self, written: bytes | None) -> float | Refusal | None:
        """The claimed time; None where there is none, or it is in the body, which nobody has vouched for yet."""
        if self._timestamp is None or not (self._reads_time_first or self._timestamp.header):
            return None
        if written is None:
            where = f"header `{self._timestamp.header}`" if self._timestamp.header else self.place_name
            where = f"field `{self._timestamp.body}` in the body" if self._timestamp.body else where
            return Refusal(RefusalCode.TIMESTAMP_MISSING, f"no timestamp in the {where}")
        instant = self._timestamp.read(written)
        return self._timestamp.malformed() if instant is None else instant

    def _match(
        self, request: SignedRequest, signatures: list[bytes], secrets: Sequence[str], written: bytes
    ) -> int | Refusal | KeyNeeded:
        """The index of the secret that made one of the signatures."""
        usable = 0
        content: bytes | Refusal = b""
        for index, secret in enumerate(secrets):
            keys = self._keys_of(secret)
            if not keys:
                continue
            if not usable or self._content.uses_secret:
                content = self._content.build(request, written, self._parts(secret))
                if isinstance(content, Refusal):
                    return content
            usable += 1
            for key in keys:
                if self._signature.is_among(signatures, key, content):  # type: ignore[arg-type] # no Refusal here
                    return index
                for other in self._signature.other_readings(request):
                    made = self._content.build(other, written, self._parts(secret))
                    if not isinstance(made, Refusal) and self._signature.is_among(signatures, key, made):
                        return index
        if usable:
            detail = (
                f"signatures: {len(signatures)}, secrets: {usable}, and none fits any: "
                "the secret is another one, or the request was changed on its way"
            )
            return Refusal(RefusalCode.SIGNATURE_MISMATCH, detail)
        return unusable(secrets)

    def _identity(
        self, request: SignedRequest, signatures: list[bytes], secret: str, written: bytes
    ) -> bytes | None:
        """What names the delivery, as hex: of the reading that was signed, which is one however it arrives."""
        if self._signature.identity_is_signature and len(signatures) == 1:
            return signatures[0].hex().encode()
        for reading in (request, *self._signature.other_readings(request)):
            content = self._content.build(reading, written, self._parts(secret))
            for key in () if isinstance(content, Refusal) else self._keys_of(secret):
                if self._signature.is_among(signatures, key, content):  # type: ignore[arg-type] # no Refusal here
                    return self._signature.identify(key, content).hex().encode()  # type: ignore[arg-type] # as above
        return None

    def _keys_of(self, secret: str) -> tuple[bytes, ...]:
        """The keys of a secret: an endpoint has few, and each is decoded once."""
        keys = self._keys.get(secret)
        if keys is None:
            if len(self._keys) >= MOST_KNOWN_SECRETS:
                self._keys.clear()
            keys = self._keys[secret] = self._secret.keys(secret)
        return keys

    def _parts(self, secret: str) -> Secret:
        return self._secret.split(secret) if self._content.uses_secret else {}


def unusable(secrets: Sequence[str]) -> Refusal:
    """The refusal of a request that there is no secret to check with."""
    if any(secrets):
        return Refusal(
            RefusalCode.SECRET_UNUSABLE, "none of the endpoint's secrets can be a key of this provider"
        )
    return Refusal(RefusalCode.SECRET_MISSING, "the endpoint has no secret")
