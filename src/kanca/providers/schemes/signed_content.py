"""What all schemes share that sign parts of the request.

Their description, reading what a request claims, building what was signed, judging the time: a scheme adds only its
arithmetic.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from kanca.errors import InvalidInput, InvalidSecret
from kanca.providers.locations import BodyPath, FieldName, HeaderName, header_key, parse_path
from kanca.providers.schemes.content import Builder, ContentBuilder, Secret, content_slots
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.encoding import Encoding, decode, encode
from kanca.providers.schemes.header_form import HeaderForm
from kanca.providers.schemes.issued import Issued
from kanca.providers.schemes.items import ItemsChecker, sign_items
from kanca.providers.schemes.place import Place
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot
from kanca.providers.timestamps import Timestamp
from kanca.providers.verdict import KeyNeeded, Refusal, RefusalCode, SignedRequest, Verdict, Verified

Content = Annotated[str, Meta(min_length=1, max_length=500)]
BodyForm = Literal["raw", "ascii"]


class SignedContent(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="scheme"):
    """A signature over a template of the request's parts."""

    header: HeaderName | None = None
    """The header that carries the signature; with ``*`` at its end, all headers that begin so."""
    body: BodyPath | None = None
    """Instead: the field of the body that carries it."""
    query: FieldName | None = None
    """Instead: the field of the query that carries it."""
    form: Annotated[str, Meta(max_length=200)] = "{signature}"
    """How it is written there; see ``header_form``."""
    separator: Annotated[str, Meta(pattern=r"^[ ,;&|]?\Z")] = ""
    """What stands between the items of a header that is a list; empty when it is none."""
    encoding: Encoding = "hex"
    signed_content: Content | Annotated[tuple[Content, ...], Meta(min_length=1, max_length=5)] = "{body}"
    """What is signed, each part as received; see ``content``. Of several, the first of which every part is there."""
    body_unsigned: bool = False
    """Said openly: the signature covers some fields of the body only, and whoever saw one may change the rest."""
    body_forms: Annotated[tuple[BodyForm, ...], Meta(min_length=1)] = ("raw",)
    """What stands for the body: the bytes, or their text with all but ASCII written as ``\\uXXXX``; any may fit."""
    timestamp: Timestamp | None = None
    id_header: HeaderName | None = None
    """The header behind ``{id}``: the delivery id, where the signature covers it."""
    signature_is_id: bool = False
    """The right signature, as hex, is the delivery id ``{id}``: where no single field that is signed tells deliveries
    apart, and the rest of the body could be changed to make a replay look new."""
    each: BodyPath | None = None
    """A list in the body whose items are signed one by one: paths are then those of an item, and all must be right."""

    def __post_init__(self) -> None:
        """Raise ValueError for what could not be checked, or would prove nothing."""
        self.place()
        slots = content_slots(self.templates())
        names = {slot.name for slot in slots}
        if self.each:
            parse_path(self.each)
        form = HeaderForm(self.form, self.separator)
        covers_body = bool({Slot("body", ""), Slot("body_crc32", ""), Slot("body_sha256", "")} & set(slots))
        if covers_body == self.body_unsigned:
            raise ValueError(
                "signed_content has no {body}: any body would pass; say `body_unsigned = true` if that is so"
                if not self.body_unsigned
                else "signed_content has {body}: body_unsigned is not so"
            )
        if self.body_unsigned and not slots:
            raise ValueError("signed_content covers nothing of the request")
        if ("id" in names) != (self.id_header is not None):
            raise ValueError("id_header names the header behind {id}: one needs the other")
        if self.timestamp is None:
            if form.has_timestamp or "timestamp" in names:
                raise ValueError("{timestamp} is used, but no timestamp is described")
            return
        if [form.has_timestamp, bool(self.timestamp.header), bool(self.timestamp.body)].count(True) != 1:
            raise ValueError(
                "a timestamp has one place: the signature's header, a header of its own, or the body"
            )
        if "timestamp" not in names and not (self.timestamp.body and covers_body):
            raise ValueError(
                "a timestamp must be signed: as {timestamp} in signed_content, or within the body"
            )

    def templates(self) -> tuple[str, ...]:
        """The alternatives of what is signed."""
        return (self.signed_content,) if isinstance(self.signed_content, str) else self.signed_content

    def place(self) -> Place:
        """Where the signature is."""
        return Place(self.header, self.body, self.query, self.separator)

    @abstractmethod
    def signature_bytes(self) -> int | None:
        """How long a signature is, decoded; None when they differ in length."""

    @abstractmethod
    def make(self, key: bytes, content: bytes) -> bytes:
        """The signature that the sender would make."""

    def identify(self, key: bytes, content: bytes) -> bytes:
        """What names a delivery by its content, where ``signature_is_id``."""
        return self.make(key, content)

    @abstractmethod
    def is_among(self, signatures: Sequence[bytes], key: bytes, content: bytes) -> bool:
        """Whether the right signature is among these; each is compared in constant time."""

    def key_problem(self, _secret: SecretFormat, _text: str) -> str | None:
        """Why this secret, whose form is right, is no key all the same: the end of a sentence. None when it is one."""
        return None

    def issue(self, secret: SecretFormat) -> Issued:
        """A new secret to sign with, and what it is checked by."""
        text = secret.generate()
        return Issued(text, text)

    def builder(self) -> Builder:
        """What puts together the bytes that are signed."""
        return ContentBuilder(self.templates(), self.id_header)

    def other_readings(self, request: SignedRequest) -> Iterator[SignedRequest]:
        """The request as the sender may have signed it instead; tried when a key does not fit it as it is."""
        if "ascii" in self.body_forms and not request.body.isascii():
            yield replace(request, body=_ascii(request.body))

    def covers(self, slot: Slot) -> bool:
        """Whether nobody can change what the slot stands for without breaking the signature."""
        if slot.name == "id" and self.signature_is_id:
            return True
        if self.each and slot.name == "body":
            slot = Slot("body", re.sub(rf"\A{re.escape(self.each)}\.\d+\.", "", slot.argument))
        if slot.name in ("body", "body_sha256") and not self.body_unsigned:
            return True
        return slot in content_slots(self.templates())

    def checker(self, secret: SecretFormat) -> SignatureChecker | ItemsChecker:
        """What checks this signature, with everything worked out beforehand that can be."""
        checker = SignatureChecker(self, secret)
        return ItemsChecker(checker, self.each) if self.each else checker

    def sign(self, secret: SecretFormat, text: str, draft: Draft) -> Draft:
        """The draft with its proof, made with the secret that ``text`` is.

        Raises InvalidSecret when the secret is no key, InvalidInput when a part that is signed is not there.
        """
        if self.each:
            one = replace(self, each=None)
            return sign_items(draft, self.each, lambda item: one.sign(secret, text, item))
        key = secret.key(text)
        if key is None:
            raise InvalidSecret("The secret cannot be a key of this provider.")
        return self.sign_with(key, secret.split(text), draft)

    def sign_with(self, key: bytes, parts: Secret, draft: Draft) -> Draft:
        """The draft with its proof, made with the key; ``parts`` of the secret are for what is signed.

        Raises InvalidInput when a part that is signed is not there.
        """
        written = self.timestamp.write(draft.now) if self.timestamp else ""
        if self.timestamp and self.timestamp.header:
            draft = draft.with_headers({self.timestamp.header: written})
        if self.timestamp and self.timestamp.body:
            written = (self.timestamp.written_in_body(draft.request()) or b"").decode()
        if self.id_header:
            draft = draft.with_headers({self.id_header: draft.delivery_id})
        content = self.builder().build(draft.request(), written.encode(), parts)
        if isinstance(content, Refusal):
            raise InvalidInput(content.detail)
        made = encode(self.make(key, content), self.encoding)
        return self.place().put(draft, HeaderForm(self.form, self.separator).write(made, written))


class SignatureChecker:
    """Checks one kind of signature. The hot path: nothing is worked out here that could be before."""

    missing = RefusalCode.SIGNATURE_MISSING

    def __init__(self, signature: SignedContent, secret: SecretFormat) -> None:
        place = signature.place()
        self.place_name = place.name
        self.find: Callable[[SignedRequest], bytes | None] = place.find
        self._signature = signature
        self._secret = secret
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
            keys = self._secret.keys(secret)
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
        for reading in (request, *self._signature.other_readings(request)):
            content = self._content.build(reading, written, self._parts(secret))
            for key in () if isinstance(content, Refusal) else self._secret.keys(secret):
                if self._signature.is_among(signatures, key, content):  # type: ignore[arg-type] # no Refusal here
                    return self._signature.identify(key, content).hex().encode()  # type: ignore[arg-type] # as above
        return None

    def _parts(self, secret: str) -> Secret:
        return self._secret.split(secret) if self._content.uses_secret else {}


def unusable(secrets: Sequence[str]) -> Refusal:
    """The refusal of a request that there is no secret to check with."""
    if any(secrets):
        return Refusal(
            RefusalCode.SECRET_UNUSABLE, "none of the endpoint's secrets can be a key of this provider"
        )
    return Refusal(RefusalCode.SECRET_MISSING, "the endpoint has no secret")


def _ascii(body: bytes) -> bytes:
    """The text of a body with all but ASCII as JSON escapes; characters beyond the BMP as surrogate pairs."""
    units = body.decode("utf-8", "replace").encode("utf-16-be")
    codes = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes).encode()
