"""What was signed: the parts of a request in the order that the provider signs them, each exactly as received."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from kanca.providers.locations import OPTIONAL, encoded, find, parse_path, scalar_of
from kanca.providers.template import Part, Slot, parse_template, slots_of
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest

SLOTS: Mapping[str, bool | None] = {
    "body": None,
    "body_crc32": False,
    "body_sha256": False,
    "header": True,
    "id": False,
    "method": False,
    "query": True,
    "secret": None,
    "timestamp": False,
    "url": False,
    "url_unescaped": False,
}

Secret = Mapping[str, str]
"""The parts of a secret by name; the whole of it, or its first part, under the empty name."""

_Read = Callable[[SignedRequest, bytes, Secret], bytes | None]
_URL_ESCAPES = {f"%{ord(character):02X}": character for character in ":/?@!$'()*,;"}


def content_slots(templates: Sequence[str]) -> tuple[Slot, ...]:
    """The slots that every one of these templates of signed content has; that of an optional field without its mark.

    Raises ValueError when one is no template.
    """
    found = [
        [
            Slot(slot.name, slot.argument.removesuffix(OPTIONAL))
            for slot in slots_of(parse_template(text, SLOTS))
        ]
        for text in templates
    ]
    return tuple(slot for slot in found[0] if all(slot in others for others in found))


class Builder(Protocol):
    """Puts together the bytes that were signed."""

    uses_secret: bool
    """Whether they differ with the secret."""

    def build(self, request: SignedRequest, timestamp: bytes, secret: Secret, /) -> bytes | Refusal:
        """The signed bytes; a refusal where they cannot be known."""


class ContentBuilder:
    """Puts them together as templates say."""

    def __init__(self, templates: Sequence[str], id_header: str | None) -> None:
        """Of several templates, the first counts of which every part is there; ``id_header`` is what ``{id}`` is."""
        self._alternatives = tuple(_pieces(text, (id_header or "").lower()) for text in templates)
        self.uses_secret = any(
            slot.name == "secret" for text in templates for slot in slots_of(parse_template(text, SLOTS))
        )

    def build(self, request: SignedRequest, timestamp: bytes, secret: Secret) -> bytes | Refusal:
        """The signed bytes; a refusal when a part is missing or could be confused with the one behind it."""
        content: bytes | Refusal = b""
        for pieces in self._alternatives:
            content = _build(pieces, request, timestamp, secret)
            if not isinstance(content, Refusal):
                break
        return content


class _Piece:
    __slots__ = ("guard", "is_before_body", "name", "read", "slot")

    def __init__(self, part: Part, following: Part, id_header: str, *, is_first: bool) -> None:
        """``guard`` is the text that must not be in the part.

        It keeps two requests from having the same signed bytes: with ``{id}.{timestamp}.{body}`` an id with a dot could
        swallow the timestamp. Where fields have a line each, only the first may have lines of its own: the others are
        found from the end. ``is_before_body`` is a URL that the body follows with nothing between: it must not swallow
        the beginning of a JSON object or list.
        """
        self.name = self.slot = ""
        self.is_before_body = _is_url(part) and following == Slot("body", "")
        self.guard = b""
        if isinstance(part, str):
            self.read = _literal(part)
            return
        self.slot = part.name
        self.name = part.argument
        if part.name in ("id", "header"):
            self.name = part.argument or id_header
            self.guard = following.encode() if isinstance(following, str) else b""
            self.read = _header(self.name)
        elif part.name == "body" and part.argument:
            has_line = isinstance(following, str) and following.startswith("\n")
            self.guard = b"\n" if has_line and not is_first else b""
            self.read = _field(part.argument)
        elif part.name == "query":
            self.read = _query(part.argument)
        elif part.name == "secret":
            self.read = _secret(part.argument)
        else:
            self.read = _READERS[part.name]


def _is_url(part: Part) -> bool:
    return isinstance(part, Slot) and part.name in ("url", "url_unescaped")


def _pieces(template: str, id_header: str) -> tuple[_Piece, ...]:
    parts = parse_template(template, SLOTS)
    first = next(iter(slots_of(parts)), None)
    return tuple(
        _Piece(part, following, id_header, is_first=part is first)
        for part, following in zip(parts, [*parts[1:], ""], strict=True)
    )


def _build(
    pieces: Sequence[_Piece], request: SignedRequest, timestamp: bytes, secret: Secret
) -> bytes | Refusal:
    built = []
    for piece in pieces:
        part = piece.read(request, timestamp, secret)
        if part is None:
            return _missing(piece)
        if piece.is_before_body and (b"{" in part or part.endswith(b"[")):
            detail = "the URL goes on into what looks like the beginning of the body"
            return Refusal(RefusalCode.SIGNED_FIELD_MISSING, detail)
        if piece.guard and piece.guard in part:
            what = "header" if piece.slot in ("id", "header") else "field"
            guard = "a line's end" if piece.guard == b"\n" else f"`{piece.guard.decode()}`"
            detail = f"the {what} `{piece.name}` contains {guard}, which ends it in what is signed"
            return Refusal(RefusalCode.SIGNED_HEADER_MALFORMED, detail)
        built.append(part)
    return b"".join(built)


def _missing(piece: _Piece) -> Refusal:
    if piece.slot in ("id", "header"):
        detail = f"no header `{piece.name}`, which the signature covers"
        return Refusal(RefusalCode.SIGNED_HEADER_MISSING, detail)
    if piece.slot == "secret":
        return Refusal(RefusalCode.SECRET_UNUSABLE, f"the secret has no part `{piece.name}`")
    where = "query" if piece.slot == "query" else "body"
    detail = f"no field `{piece.name}` in the {where}, which the signature covers"
    return Refusal(RefusalCode.SIGNED_FIELD_MISSING, detail)


def _literal(text: str) -> _Read:
    encoded = text.encode()
    return lambda _request, _timestamp, _secret: encoded


def _header(name: str) -> _Read:
    key = name.encode("ascii", "replace")
    return lambda request, _timestamp, _secret: request.headers.get(key)


def _field(argument: str) -> _Read:
    path, default = parse_path(argument.removesuffix(OPTIONAL)), "" if argument.endswith(OPTIONAL) else None

    def read(request: SignedRequest, _timestamp: bytes, _secret: Secret) -> bytes | None:
        value = find(request.document(), path)
        # Only what is not there is empty: a list or an object in its place is not what was signed.
        return encoded(default if value is None else scalar_of(value))

    return read


def _query(argument: str) -> _Read:
    name, default = argument.removesuffix(OPTIONAL), "" if argument.endswith(OPTIONAL) else None
    return lambda request, _timestamp, _secret: encoded(request.query().get(name, default))


def _secret(part: str) -> _Read:
    return lambda _request, _timestamp, secret: encoded(secret.get(part))


def _unescaped(url: str) -> str:
    if "%" in url:
        for escape, character in _URL_ESCAPES.items():
            url = url.replace(escape, character)
    return url


_READERS: dict[str, _Read] = {
    "body": lambda request, _timestamp, _secret: request.body,
    "body_crc32": lambda request, _timestamp, _secret: b"%d" % zlib.crc32(request.body),
    "body_sha256": lambda request, _timestamp, _secret: hashlib.sha256(request.body).hexdigest().encode(),
    "timestamp": lambda _request, timestamp, _secret: timestamp,
    "method": lambda request, _timestamp, _secret: request.method.encode(errors="replace"),
    "url": lambda request, _timestamp, _secret: request.url.encode(errors="replace"),
    "url_unescaped": lambda request, _timestamp, _secret: _unescaped(request.url).encode(errors="replace"),
}
