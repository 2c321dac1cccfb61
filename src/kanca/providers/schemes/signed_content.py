"""How all schemes are described that sign parts of the request: a scheme adds only its arithmetic.

What checks them is ``signature_checker``.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from kanca.errors import InvalidInput, InvalidSecret
from kanca.providers.locations import BodyPath, FieldName, HeaderName, parse_path
from kanca.providers.schemes.content import Builder, ContentBuilder, Secret, content_slots
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.encoding import Encoding, encode
from kanca.providers.schemes.header_form import HeaderForm
from kanca.providers.schemes.issued import Issued
from kanca.providers.schemes.items import ItemsChecker, sign_items
from kanca.providers.schemes.place import Place
from kanca.providers.schemes.signature_checker import SignatureChecker
from kanca.providers.secret_format import SecretFormat
from kanca.providers.template import Slot
from kanca.providers.timestamps import Timestamp
from kanca.providers.verdict import Refusal, SignedRequest

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

    identity_is_signature: ClassVar[bool] = True
    """Whether ``identify`` gives the very signature that was sent."""

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
            problem = secret.problem(text) or "is no key"
            raise InvalidSecret(f"The secret cannot be one of this provider: it {problem}.")
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


def _ascii(body: bytes) -> bytes:
    """The text of a body with all but ASCII as JSON escapes; characters beyond the BMP as surrogate pairs."""
    units = body.decode("utf-8", "replace").encode("utf-16-be")
    codes = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes).encode()
