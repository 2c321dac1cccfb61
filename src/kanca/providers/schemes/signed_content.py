"""What all schemes share that sign parts of the request.

Their description, reading what a request claims, building what was signed, judging the time: a scheme adds only its
arithmetic.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

from kanca.errors import InvalidInput, InvalidSecret
from kanca.providers.locations import HeaderName, header_key
from kanca.providers.schemes.content import ContentBuilder, content_slots
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.encoding import Encoding, decode, encode
from kanca.providers.schemes.header_form import HeaderForm
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot
from kanca.providers.timestamps import Timestamp
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest, Verdict, Verified


class SignedContent(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="scheme"):
    """A signature in a header over a template of the request's parts."""

    header: HeaderName
    """The header that carries the signature."""
    form: Annotated[str, Meta(max_length=200)] = "{signature}"
    """How the header holds it; see ``header_form``."""
    separator: Annotated[str, Meta(pattern=r"^[ ,;&|]?\Z")] = ""
    """What stands between the items of a header that is a list; empty when it is none."""
    encoding: Encoding = "hex"
    signed_content: Annotated[str, Meta(max_length=500)] = "{body}"
    """What is signed, of ``{body} {timestamp} {id} {method} {url} {header:name}``, each as received."""
    timestamp: Timestamp | None = None
    id_header: HeaderName | None = None
    """The header behind ``{id}``: the delivery id, where the signature covers it."""

    def __post_init__(self) -> None:
        """Raise ValueError for what could not be checked, or would prove nothing."""
        slots = {slot.name for slot in content_slots(self.signed_content)}
        form = HeaderForm(self.form, self.separator)
        if "body" not in slots:
            raise ValueError("signed_content has no {body}: any body would pass")
        if ("id" in slots) != (self.id_header is not None):
            raise ValueError("id_header names the header behind {id}: one needs the other")
        if self.timestamp is None:
            if form.has_timestamp or "timestamp" in slots:
                raise ValueError("{timestamp} is used, but no timestamp is described")
            return
        if [form.has_timestamp, bool(self.timestamp.header), bool(self.timestamp.body)].count(True) != 1:
            raise ValueError(
                "a timestamp has one place: the signature's header, a header of its own, or the body"
            )
        if ("timestamp" in slots) == bool(self.timestamp.body):
            raise ValueError(
                "a timestamp must be signed: as {timestamp} in signed_content, or within the body"
            )

    @abstractmethod
    def signature_bytes(self) -> int:
        """How long a signature is, decoded."""

    @abstractmethod
    def make(self, key: bytes, content: bytes) -> bytes:
        """The signature that the sender would make."""

    @abstractmethod
    def is_among(self, signatures: Sequence[bytes], key: bytes, content: bytes) -> bool:
        """Whether the right signature is among these; each is compared in constant time."""

    def covers(self, slot: Slot) -> bool:
        """Whether nobody can change what the slot stands for without breaking the signature."""
        return slot.name == "body" or slot in content_slots(self.signed_content)

    def checker(self, secret: SecretFormat) -> SignatureChecker:
        """What checks this signature, with everything worked out beforehand that can be."""
        return SignatureChecker(self, secret)

    def sign(self, secret: SecretFormat, text: str, draft: Draft) -> dict[str, str]:
        """The headers that prove the request, with the secret that ``text`` is.

        Raises InvalidSecret when the secret is no key, InvalidInput when a header that is signed is not set.
        """
        key = secret.key(text)
        if key is None:
            raise InvalidSecret("The secret cannot be a key of this provider.")
        proof: dict[str, str] = {}
        written = self.timestamp.write(draft.now) if self.timestamp else ""
        if self.timestamp and self.timestamp.header:
            proof[self.timestamp.header] = written
        if self.id_header:
            proof[self.id_header] = draft.delivery_id
        request = draft.request_with(proof)
        content = ContentBuilder(self.signed_content, self.id_header).build(request, written.encode())
        if isinstance(content, Refusal):
            raise InvalidInput(content.detail)
        signature = encode(self.make(key, content), self.encoding)
        return {**proof, self.header: HeaderForm(self.form, self.separator).write(signature, written)}


class SignatureChecker:
    """Checks one kind of signature. The hot path: nothing is worked out here that could be before."""

    missing = RefusalCode.SIGNATURE_MISSING

    def __init__(self, signature: SignedContent, secret: SecretFormat) -> None:
        self.header: str | None = signature.header
        self._signature = signature
        self._secret = secret
        self._form = HeaderForm(signature.form, signature.separator)
        self._content = ContentBuilder(signature.signed_content, signature.id_header)
        self._length = signature.signature_bytes()
        self._timestamp = signature.timestamp
        self._timestamp_header = header_key(signature.timestamp.header if signature.timestamp else None)
        self._id_header = header_key(signature.id_header)

    def check(self, request: SignedRequest, value: bytes, secrets: Sequence[str], now: float) -> Verdict:
        """Judge the request by the value of the signature's header. Never raises for what a caller can send."""
        claim = self._form.read(value)
        if isinstance(claim, Refusal):
            return claim
        signatures = self._decoded(claim.signatures)
        if not signatures:
            detail = f"no signature in `{self.header}` is {self._length} bytes of {self._signature.encoding}"
            return Refusal(RefusalCode.SIGNATURE_MALFORMED, detail)
        written = request.headers.get(self._timestamp_header) if self._timestamp_header else claim.timestamp
        signed_at = self._read_time(written)
        if isinstance(signed_at, Refusal):
            return signed_at
        content = self._content.build(request, written or b"")
        if isinstance(content, Refusal):
            return content
        secret_index = self._match(signatures, secrets, content)
        if isinstance(secret_index, Refusal):
            return secret_index
        if self._timestamp is not None:
            if signed_at is None:
                signed_at = self._timestamp.read_body(request.body)
                if isinstance(signed_at, Refusal):
                    return signed_at
            late = self._timestamp.judge(signed_at, now)
            if late is not None:
                return late
        signed_id = request.headers.get(self._id_header) if self._id_header else None
        return Verified(secret_index, signed_at, signed_id)

    def _decoded(self, texts: list[bytes]) -> list[bytes]:
        """The signatures of the right length; the others cannot be right."""
        decoded = (decode(text, self._signature.encoding) for text in texts)
        return [
            signature for signature in decoded if signature is not None and len(signature) == self._length
        ]

    def _read_time(self, written: bytes | None) -> float | Refusal | None:
        """The claimed time; None where there is none, or it is in the body, which nobody has vouched for yet."""
        if self._timestamp is None or self._timestamp.body:
            return None
        if written is None:
            place = self._timestamp.header or self.header
            return Refusal(RefusalCode.TIMESTAMP_MISSING, f"no timestamp in the header `{place}`")
        instant = self._timestamp.read(written)
        return self._timestamp.malformed() if instant is None else instant

    def _match(self, signatures: list[bytes], secrets: Sequence[str], content: bytes) -> int | Refusal:
        """The index of the secret that made one of the signatures."""
        usable = 0
        for index, secret in enumerate(secrets):
            key = self._secret.key(secret)
            if key is not None:
                usable += 1
                if self._signature.is_among(signatures, key, content):
                    return index
        if usable:
            detail = (
                f"signatures: {len(signatures)}, secrets: {usable}, and none fits any: "
                "the secret is another one, or the request was changed on its way"
            )
            return Refusal(RefusalCode.SIGNATURE_MISMATCH, detail)
        return unusable(secrets)


def unusable(secrets: Sequence[str]) -> Refusal:
    """The refusal of a request that there is no secret to check with."""
    if any(secrets):
        return Refusal(
            RefusalCode.SECRET_UNUSABLE, "none of the endpoint's secrets can be a key of this provider"
        )
    return Refusal(RefusalCode.SECRET_MISSING, "the endpoint has no secret")
