"""Reading a body by its content type."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from python_multipart.multipart import parse_options_header

from kanca.bodies.charset import decode_text, find_charset
from kanca.bodies.form import read_form
from kanca.bodies.json import read_json
from kanca.bodies.multipart import read_multipart
from kanca.bodies.ndjson import read_ndjson
from kanca.bodies.unreadable import Unreadable
from kanca.bodies.xml import read_xml
from kanca.domain.event import data_of


class Kind(StrEnum):
    """What a body is."""

    JSON = "json"
    NDJSON = "ndjson"
    FORM = "form"
    MULTIPART = "multipart"
    XML = "xml"
    TEXT = "text"
    BINARY = "binary"


class Body(NamedTuple):
    """What a body says. Only JSON can be an envelope."""

    kind: Kind
    document: Any
    """Values as JSON has them; None for what is binary."""

    @property
    def data(self) -> Any:
        """The data of the event that the body is: an envelope's ``data``, else the whole document."""
        return data_of(self.document) if self.kind is Kind.JSON else self.document


class _Media(NamedTuple):
    kind: Kind
    charset: str | None
    boundary: str | None


MAX_CONTENT_TYPE = 512
"""Characters of a content type that are looked at."""

FORM_OF_JSON = frozenset({"payload", "json"})
"""Names of the only field of a form that stands for the JSON in it: GitHub, Slack, Dropbox Sign."""

_KINDS = {
    "application/json": Kind.JSON,
    "text/json": Kind.JSON,
    "application/x-ndjson": Kind.NDJSON,
    "application/ndjson": Kind.NDJSON,
    "application/jsonl": Kind.NDJSON,
    "application/x-jsonl": Kind.NDJSON,
    "application/jsonlines": Kind.NDJSON,
    "application/x-jsonlines": Kind.NDJSON,
    "application/json-lines": Kind.NDJSON,
    "application/x-www-form-urlencoded": Kind.FORM,
    "multipart/form-data": Kind.MULTIPART,
    "application/xml": Kind.XML,
    "text/xml": Kind.XML,
}


def read_document(body: bytes, content_type: bytes | str | None) -> Any:
    """What a body says, as values like those of JSON; None for what is binary or cannot be read. Raises nothing."""
    try:
        return read_body(body, content_type).document
    except Unreadable:
        return None


def read_body(body: bytes, content_type: bytes | str | None) -> Body:
    """Read a body as what it says it is.

    JSON (and a body without a content type, which is what webhooks are) must be JSON; NDJSON is a list, a form a
    dictionary, XML a dictionary of its root, text a string; anything else is binary. A JSON object or list in a body
    that says it is something else is read as such all the same (``curl -d`` says form, Amazon SNS says text), and so is
    a JSON object that is all of a form, in its one field ``payload`` or ``json``.

    Raises Unreadable: ``empty_body``, ``invalid_json``, ``invalid_utf8``, ``invalid_form``, ``invalid_multipart``,
    ``invalid_xml``, ``invalid_text``, ``unsupported_charset``, ``payload_too_large`` (a form), ``too_many_parts`` or
    ``nested_too_deeply``.
    """
    if content_type is None:
        return Body(Kind.JSON, read_json(body))
    if not body:
        raise Unreadable("empty_body", "The body is empty.")
    media = _media_of(content_type[:MAX_CONTENT_TYPE])
    if media.kind is Kind.JSON:
        if not _is_utf_8(media.charset):
            find_charset(media.charset or "")
        return Body(Kind.JSON, _read_json(body, media.charset))
    if media.kind is Kind.NDJSON:
        return Body(Kind.NDJSON, read_ndjson(_as_utf_8(body, media.charset)))
    if body[:64].lstrip()[:1] in (b"{", b"["):
        try:
            return Body(Kind.JSON, _read_json(body, media.charset))
        except Unreadable:
            pass  # a form, a template, … that begins so
    return Body(media.kind, _read_other(body, media))


def _read_other(body: bytes, media: _Media) -> Any:
    match media.kind:
        case Kind.FORM:
            return _unpacked(read_form(body, media.charset))
        case Kind.MULTIPART:
            return _unpacked(read_multipart(body, media.boundary))
        case Kind.XML:
            return read_xml(body, media.charset)
        case Kind.TEXT:
            return decode_text(body, media.charset)
    return None


def _unpacked(form: dict[str, Any]) -> dict[str, Any]:
    """The form, or the object that it only carries."""
    name, value = next(iter(form.items())) if len(form) == 1 else ("", None)
    if name not in FORM_OF_JSON or not isinstance(value, str) or not value[:64].lstrip().startswith("{"):
        return form
    try:
        document = read_json(value.encode("utf-8", "surrogatepass"))
    except Unreadable:
        return form
    return document if isinstance(document, dict) else form


def _read_json(body: bytes, charset: str | None) -> Any:
    """JSON is UTF-8 whatever its content type says: that is not signed, and could make other texts of it.

    What is no UTF-8 may be in the charset that it names.
    """
    try:
        return read_json(body)
    except Unreadable:
        if _is_utf_8(charset):
            raise
        return read_json(_as_utf_8(body, charset))


def _as_utf_8(body: bytes, charset: str | None) -> bytes:
    """The bytes of JSON, which need no charset (RFC 8259, section 11), from what some say all the same."""
    return body if _is_utf_8(charset) else decode_text(body, charset).encode()


def _is_utf_8(charset: str | None) -> bool:
    return charset is None or charset.lower() in ("utf-8", "utf8")


@lru_cache(maxsize=256)
def _media_of(content_type: bytes | str) -> _Media:
    name, parameters = parse_options_header(content_type)
    charset, boundary = parameters.get(b"charset"), parameters.get(b"boundary")
    return _Media(
        _kind_of(name.decode("latin-1")),
        charset.decode("latin-1").strip(" '\"") or None if charset else None,
        boundary.decode("latin-1") if boundary else None,
    )


def _kind_of(media_type: str) -> Kind:
    kind = _KINDS.get(media_type)
    if kind is not None:
        return kind
    if media_type.endswith("+json"):
        return Kind.JSON
    if media_type.endswith("+xml"):
        return Kind.XML
    return Kind.TEXT if media_type.startswith("text/") else Kind.BINARY
