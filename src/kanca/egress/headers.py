"""Headers that callers may set, and headers that came back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from kanca.errors import EgressRefused

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_CONNECTION_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def checked_headers(
    method: str, headers: Mapping[str, str] | Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The headers as pairs. Raises EgressRefused for a method or header that would change more than itself."""
    if not _TOKEN.fullmatch(method) or method.upper() in ("CONNECT", "TRACE"):
        raise EgressRefused("this is not an HTTP method that can be used", reason="bad_method")
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    for name, value in pairs:
        if not _TOKEN.fullmatch(name) or _NOT_IN_VALUES.search(value):
            raise EgressRefused("a header has a character that headers do not have", reason="bad_header")
        if name.lower() in _CONNECTION_HEADERS or name.lower().startswith("proxy-"):
            raise EgressRefused(
                f"the header {name} belongs to the connection and cannot be set", reason="bad_header"
            )
    return pairs


def joined(raw_headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Response headers under lower-case names; repeated ones joined by ``, ``, bytes that are no text replaced."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw_headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
