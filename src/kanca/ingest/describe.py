"""How a request is remembered: with an event that it became, or with a rejection."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec.json import Encoder

from kanca.ingest.redaction import REDACTED, is_sensitive, redact

Pairs = Sequence[tuple[bytes, bytes]]

MAX_USER_AGENT = 512
MOST_SHOWN_HEADERS = 50
MOST_SHOWN_VALUE = 200
MOST_SHOWN_HEADER_CHARS = 8192
MOST_SHOWN_BODY_BYTES = 2048

_encode = Encoder().encode


def describe_request(
    method: str,
    path: str,
    client: str,
    headers: Pairs,
    hidden: Collection[bytes],
    user_agent: bytes,
    marks: Mapping[str, Any],
) -> bytes:
    """The request of an event, as JSON, with what ingest has found out of it.

    The headers in ``hidden`` carry secrets: their values are left out.
    """
    described: dict[str, Any] = {
        "method": method,
        "path": path,
        "ip": client,
        "user_agent": REDACTED if b"user-agent" in hidden else user_agent[:MAX_USER_AGENT].decode("latin-1"),
        "headers": [
            (name.decode("latin-1"), REDACTED if name in hidden else value.decode("latin-1"))
            for name, value in headers
        ],
        **marks,
    }
    return _encode(described)


def describe_rejected(
    method: str,
    path: str,
    headers: Pairs,
    body: bytes,
    *,
    hidden: Collection[bytes],
    hidden_fields: Collection[str] = (),
    has_shown_body: bool = True,
) -> bytes:
    r"""The request of a rejection, as JSON, cut to a size that anybody may fill: whoever sent it proved nothing.

    The query is left out. Of headers in ``hidden``, or named like a secret, only the length is kept; of the body its
    head, without the values of ``hidden_fields`` and of what is named like a secret, or nothing at all. Bytes that are
    no UTF-8 are shown as ``\xNN``.
    """
    return _encode(
        {
            "method": method[:20],
            "path": path[:MOST_SHOWN_VALUE],
            "headers": _shown_headers(headers, hidden),
            "body": _head(body, hidden_fields) if has_shown_body else REDACTED,
            "body_bytes": len(body),
        }
    )


def _shown_headers(headers: Pairs, hidden: Collection[bytes]) -> list[tuple[str, str]]:
    shown = []
    left = MOST_SHOWN_HEADER_CHARS
    for raw_name, raw_value in headers[:MOST_SHOWN_HEADERS]:
        name, value = raw_name.decode("latin-1")[:MOST_SHOWN_VALUE], raw_value.decode("latin-1")
        if raw_name in hidden or is_sensitive(name):
            value = f"[{len(value)} bytes]"
        else:
            value = redact(value[:MOST_SHOWN_VALUE])
        left -= len(name) + len(value)
        if left < 0:
            break
        shown.append((name, value))
    return shown


def _head(body: bytes, hidden_fields: Collection[str]) -> str:
    # Not final where it is cut: half a character is no foreign byte.
    is_whole = len(body) <= MOST_SHOWN_BODY_BYTES
    text, _ = codecs.utf_8_decode(body[:MOST_SHOWN_BODY_BYTES], "backslashreplace", is_whole)
    return redact(text, hidden_fields)[:MOST_SHOWN_BODY_BYTES]
