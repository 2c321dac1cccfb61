"""Headers as people have them at hand: copied from a log, from ``curl -v``, or printed by a framework."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable

from kanca.errors import InvalidInput

Headers = list[tuple[str, str]]

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_PREFIX = re.compile(r"^[>\s]*(?:-H\s+|--header\s+)?")
_QUOTES = ("'", '"')
_WSGI = "HTTP_"
_WSGI_BARE = {"CONTENT_TYPE", "CONTENT_LENGTH"}
_BOXED = re.compile(r"[\[{(].*[\]})]", re.DOTALL)


def read_header(text: str) -> tuple[str, str]:
    """``Name: value``. Raises InvalidInput."""
    found = _line(text)
    if found is None:
        raise InvalidInput(f"A header looks like `Name: value`, not like {text[:60]!r}.")
    return found


def read_headers(text: str) -> Headers:
    """The headers in a text, in their order; what is none, such as a request line, is left out.

    It may be lines of ``Name: value``, as they are, as ``curl -v`` prints them (``> Name: value``) or as ``-H``
    options; an object of JSON, Python or JavaScript; or a list of pairs. Raises InvalidInput when there is none.
    """
    found = _of_value(text)
    if found is None:
        lines = [line for line in text.splitlines() if not line.startswith(("*", "<"))]
        found = [header for header in map(_line, lines) if header is not None]
    if not found:
        raise InvalidInput(
            "There are no headers in it: they look like `Name: value`, a line each, or are JSON."
        )
    return found


def folded(headers: Iterable[tuple[str, str]]) -> dict[bytes, bytes]:
    """By lower-case name; those of one name are joined with ``, `` (RFC 9110, section 5.3)."""
    made: dict[bytes, bytes] = {}
    for name, value in headers:
        key, content = name.lower().encode(), value.encode("utf-8", "surrogateescape")
        made[key] = made[key] + b", " + content if key in made else content
    return made


def _line(line: str) -> tuple[str, str] | None:
    """The header of a line, whatever stands around it; None when it is none."""
    text = _PREFIX.sub("", line).strip().removesuffix("\\").rstrip().removesuffix(",")
    text = _unquoted(text)
    name, colon, value = text.partition(":")
    name = _unquoted(name.strip())
    if not colon or not _NAME.fullmatch(name):
        return None
    return _plain_name(name), _unquoted(value.strip())


def _unquoted(text: str) -> str:
    """The text without the quotes around it, if it is all in one pair of them."""
    if len(text) >= 2 and text[0] in _QUOTES and text[-1] == text[0] and text[0] not in text[1:-1]:
        return text[1:-1]
    return text


def _plain_name(name: str) -> str:
    """``HTTP_X_SIGNATURE``, as WSGI and CGI have it, is ``X-Signature``'s."""
    if name.startswith(_WSGI) or name in _WSGI_BARE:
        return name.removeprefix(_WSGI).replace("_", "-")
    return name


def _of_value(text: str) -> Headers | None:
    """The headers of an object, or of a list of pairs; None when the text is neither."""
    boxed = _BOXED.search(text)
    if boxed is None:
        return None
    value: object = None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(boxed[0])
            break
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    pairs: Iterable[object] = (
        value.items() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    headers: Headers = []
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return None
        name, values = _text(pair[0]), pair[1] if isinstance(pair[1], list) else [pair[1]]
        if name is None or not _NAME.fullmatch(name):
            continue
        headers += [(_plain_name(name), said) for each in values if (said := _text(each)) is not None]
    return headers or None


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None
