"""Scheme ``twilio``: an HMAC over the URL and the fields of a form, or over a URL that names the hash of its body.

twilio 9.13.0 (Python), twilio/request_validator.py. What is signed is the URL; for a form behind it each field, sorted
by name, as its name and its values (each value once, sorted), with nothing between. For any other body the URL has the
hex SHA-256 of the body as ``bodySHA256``. The algorithm is the spec's: no header of the request chooses one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from urllib.parse import SplitResult, urlencode, urlsplit

from msgspec.structs import replace

from kanca.bodies import Kind, Unreadable
from kanca.providers.schemes.content import Builder, Secret
from kanca.providers.schemes.draft import Draft
from kanca.providers.schemes.encoding import Encoding
from kanca.providers.schemes.hmac import Algorithm, HmacSignature
from kanca.providers.schemes.signed_content import Content
from kanca.providers.template import Slot
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest

BODY_HASH = "bodySHA256"
_COVERED = "{url}{body}"
_PORTS = {"https": 443, "http": 80}


class TwilioSignature(HmacSignature, frozen=True, tag="twilio"):
    """The signature of Twilio."""

    algorithm: Algorithm = "sha1"
    encoding: Encoding = "base64"
    signed_content: Content | tuple[Content, ...] = _COVERED
    """Not to be set: it only says what is covered."""

    def __post_init__(self) -> None:
        """Raise ValueError for a template, which would not be looked at."""
        super().__post_init__()
        if self.signed_content != _COVERED:
            raise ValueError("scheme `twilio` knows what is signed: leave out signed_content")

    def covers(self, slot: Slot) -> bool:
        """As ever, but for the bytes of a form: its fields are signed, not how they are written."""
        return slot.name != "body_sha256" and super().covers(slot)

    def builder(self) -> Builder:
        """What puts together the URL and the fields."""
        return _UrlAndFields()

    def other_readings(self, request: SignedRequest) -> Iterator[SignedRequest]:
        """The request to the URL with its port where it has none, and without where it has one: Twilio is not sure."""
        other = _with_other_port(request.url)
        if other:
            yield replace(request, url=other)

    def sign_with(self, key: bytes, parts: Secret, draft: Draft) -> Draft:
        """The draft with its proof, and with the hash of its body where that is no form."""
        request = draft.request()
        if draft.body and _fields(request) is None and BODY_HASH not in request.query():
            joint = "&" if "?" in draft.url else "?"
            query = urlencode({BODY_HASH: hashlib.sha256(draft.body).hexdigest()})
            draft = replace(draft, url=f"{draft.url}{joint}{query}")
        return super().sign_with(key, parts, draft)


class _UrlAndFields:
    uses_secret = False

    def build(self, request: SignedRequest, _timestamp: bytes, _secret: Secret) -> bytes | Refusal:
        url = request.url.encode(errors="replace")
        if not request.body:
            return url
        fields = _fields(request)
        if fields is None:
            return _unlike_its_hash(request) or url
        texts = (name + value for name in sorted(fields) for value in sorted(set(fields[name])))
        return url + "".join(texts).encode("utf-8", "surrogatepass")


def _fields(request: SignedRequest) -> Mapping[str, list[str]] | None:
    """The fields of a form; None for what is none.

    Nothing else can pass for one, since events are read by the same kind. A line's end around a form, which reading
    forgives, is none of Twilio's.
    """
    try:
        body = request.read()
    except Unreadable:
        return None
    if body.kind is not Kind.FORM or request.body != request.body.strip(b"\r\n"):
        return None
    fields = {name: value if isinstance(value, list) else [value] for name, value in body.document.items()}
    is_plain = all(isinstance(text, str) for texts in fields.values() for text in texts)
    return fields if is_plain else None


def _unlike_its_hash(request: SignedRequest) -> Refusal | None:
    claimed = request.query().get(BODY_HASH)
    if not claimed:
        detail = (
            f"the body is no form, and the URL has no {BODY_HASH}, with which the signature would cover it"
        )
        return Refusal(RefusalCode.SIGNED_FIELD_MISSING, detail)
    expected = hashlib.sha256(request.body).hexdigest()
    if hmac.compare_digest(expected.encode(), claimed.lower().encode("utf-8", "surrogatepass")):
        return None
    return Refusal(
        RefusalCode.SIGNATURE_MISMATCH, f"the body is not the one that {BODY_HASH} in the URL is of"
    )


def _with_other_port(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if port is not None:
        netloc = parts.netloc.rpartition(":")[0]
    elif parts.scheme in _PORTS and parts.netloc:
        netloc = f"{parts.netloc}:{_PORTS[parts.scheme]}"
    else:
        return None
    return SplitResult(parts.scheme, netloc, parts.path, parts.query, parts.fragment).geturl()
