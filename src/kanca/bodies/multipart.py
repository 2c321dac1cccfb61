"""Forms with files: ``multipart/form-data`` (RFC 7578)."""

from __future__ import annotations

import logging
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from kanca.bodies.charset import decode_undeclared, find_charset
from kanca.bodies.form import gather
from kanca.bodies.unreadable import Unreadable, too_many

MOST_PARTS = 1_000
MOST_HEADERS = 16
MAX_HEADER_BYTES = 8 * 1024
MOST_OPTIONS = 32
"""Of a part's header: each takes a microsecond or two, and a megabyte of semicolons would take seconds."""

_NOWHERE = logging.Logger("multipart", logging.CRITICAL + 1)  # noqa: LOG001 - its own, so that nothing configures it
"""What a sender gets wrong stands in its refusal; the log is not for anybody to fill."""
_BROKEN = "The body is not valid multipart/form-data"


def read_multipart(body: bytes, boundary: str | None) -> dict[str, Any]:
    """The fields by name: text, or for a file ``{filename, content_type, size, encoding, data}``.

    ``data`` is text where the file says that it is text, JSON or XML and is UTF-8 (``encoding``: ``text``), else Base64
    (``base64``). A name that comes several times has a list. Raises Unreadable: ``invalid_multipart``,
    ``too_many_parts`` or ``unsupported_charset``.
    """
    if not boundary:
        raise Unreadable("invalid_multipart", f"{_BROKEN}: its content type names no boundary.")
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary.encode("latin-1"),
            reader.callbacks(),  # type: ignore[arg-type] # the library's TypedDict has the same keys, all optional
            max_header_count=MOST_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        parser.logger = _NOWHERE
        parser.write(body)
    except FormParserError:
        raise Unreadable("invalid_multipart", f"{_BROKEN}.") from None
    if not reader.is_over:
        raise Unreadable("invalid_multipart", f"{_BROKEN}: it ends before its last boundary.")
    return gather(_named(part) for part in reader.parts)


@dataclass(slots=True)
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)


class _Reader:
    """Gathers what the parser finds."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.is_over = False
        self._name = b""
        self._value = b""

    def callbacks(self) -> dict[str, Any]:
        """What the parser calls, by its names."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._take_name,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_part_data": self._take_data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        if len(self.parts) == MOST_PARTS:
            raise too_many("parts", MOST_PARTS)
        self.parts.append(_Part())

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self.parts[-1].headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].pieces.append(data[start:end])

    def _end(self) -> None:
        self.is_over = True


def _named(part: _Part) -> tuple[str, Any]:
    disposition, options = _options(part, b"content-disposition")
    name = options.get(b"name")
    if disposition != b"form-data" or name is None:
        raise Unreadable("invalid_multipart", f"{_BROKEN}: a part has no name.")
    data = b"".join(part.pieces)
    media_type, parameters = _options(part, b"content-type")
    filename = options.get(b"filename")
    if filename is None:
        return decode_undeclared(name), _text(data, parameters.get(b"charset"))
    text = _text_of_file(media_type, data)
    return decode_undeclared(name), {
        "filename": decode_undeclared(filename),
        "content_type": media_type.decode("latin-1") or None,
        "size": len(data),
        "encoding": "base64" if text is None else "text",
        "data": b64encode(data).decode() if text is None else text,
    }


def _options(part: _Part, header: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    value = part.headers.get(header, b"")
    if value.count(b";") > MOST_OPTIONS:
        raise Unreadable("invalid_multipart", f"{_BROKEN}: a part's header has too many options.")
    return parse_options_header(value)


def _text(data: bytes, charset: bytes | None) -> str:
    if not charset:
        return decode_undeclared(data)
    codec = find_charset(charset.decode("latin-1"))
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        raise Unreadable("invalid_multipart", f"{_BROKEN}: a field is not {codec.upper()}.") from None


def _text_of_file(media_type: bytes, data: bytes) -> str | None:
    if not media_type.startswith(b"text/") and not media_type.endswith((b"json", b"xml")):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
