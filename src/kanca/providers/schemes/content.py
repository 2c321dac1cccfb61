"""What was signed: the parts of a request in the order that the provider signs them, each exactly as received."""

from __future__ import annotations

from collections.abc import Callable

from kanca.providers.template import Part, Slot, parse_template, slots_of
from kanca.providers.verdict import Refusal, RefusalCode, SignedRequest

_SLOTS = {"body": False, "timestamp": False, "id": False, "method": False, "url": False, "header": True}

_Read = Callable[[SignedRequest, bytes], bytes | None]


def content_slots(template: str) -> tuple[Slot, ...]:
    """The slots of a signed-content template. Raises ValueError when it is none."""
    return slots_of(parse_template(template, _SLOTS))


class ContentBuilder:
    """Puts together the bytes that were signed."""

    def __init__(self, template: str, id_header: str | None) -> None:
        """``id_header`` is the header behind ``{id}``."""
        parts = parse_template(template, _SLOTS)
        self._pieces = tuple(
            _piece(part, following, (id_header or "").lower())
            for part, following in zip(parts, [*parts[1:], ""], strict=True)
        )

    def build(self, request: SignedRequest, timestamp: bytes) -> bytes | Refusal:
        """The signed bytes; a refusal when a part is missing or could be confused with the one behind it."""
        pieces = []
        for read, name, guard in self._pieces:
            piece = read(request, timestamp)
            if piece is None:
                detail = f"no header `{name}`, which the signature covers"
                return Refusal(RefusalCode.SIGNED_HEADER_MISSING, detail)
            if guard and guard in piece:
                detail = f"the header `{name}` contains `{guard.decode()}`, which ends it in what is signed"
                return Refusal(RefusalCode.SIGNED_HEADER_MALFORMED, detail)
            pieces.append(piece)
        return b"".join(pieces)


def _piece(part: Part, following: Part, id_header: str) -> tuple[_Read, str, bytes]:
    """How to read a part; its name; and the text that must not be in it.

    The last keeps two requests from having the same signed bytes: with ``{id}.{timestamp}.{body}`` an id with a dot
    could swallow the timestamp.
    """
    if isinstance(part, str):
        literal = part.encode()
        return lambda _request, _timestamp: literal, "", b""
    if part.name in ("id", "header"):
        name = part.argument or id_header
        key = name.encode("ascii", "replace")
        guard = following.encode() if isinstance(following, str) else b""
        return lambda request, _timestamp: request.headers.get(key), name, guard
    return _READERS[part.name], part.name, b""


_READERS: dict[str, _Read] = {
    "body": lambda request, _timestamp: request.body,
    "timestamp": lambda _request, timestamp: timestamp,
    "method": lambda request, _timestamp: request.method.encode(errors="replace"),
    "url": lambda request, _timestamp: request.url.encode(errors="replace"),
}
