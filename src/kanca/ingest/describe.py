"""How a request is remembered: with an event that it became, or with a rejection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from msgspec.json import Encoder

Pairs = Sequence[tuple[bytes, bytes]]

REDACTED = "[redacted]"
MAX_USER_AGENT = 512
MOST_SHOWN_HEADERS = 50
MOST_SHOWN_VALUE = 200
MOST_SHOWN_BODY_BYTES = 2048

_encode = Encoder().encode


def describe_request(
    method: str,
    path: str,
    client: str,
    headers: Pairs,
    hidden: Collection[bytes],
    user_agent: bytes,
    *,
    is_authenticated: bool,
    is_test: bool,
) -> bytes:
    """The request of an event, as JSON. The headers in ``hidden`` carry secrets: their values are left out."""
    described: dict[str, Any] = {
        "method": method,
        "path": path,
        "ip": client,
        "user_agent": user_agent[:MAX_USER_AGENT].decode("latin-1"),
        "headers": [
            (name.decode("latin-1"), REDACTED if name in hidden else value.decode("latin-1"))
            for name, value in headers
        ],
        "authenticated": is_authenticated,
        "test": is_test,
    }
    return _encode(described)


def describe_rejected(
    method: str, path: str, headers: Pairs, hidden: Collection[bytes], body: bytes
) -> bytes:
    """The request of a rejection, as JSON, cut to a size that anybody may fill: whoever sent it proved nothing.

    Of headers in ``hidden`` only the length is kept, of the body only its head.
    """
    shown = [
        (
            name.decode("latin-1")[:MOST_SHOWN_VALUE],
            f"[{len(value)} bytes]" if name in hidden else value.decode("latin-1")[:MOST_SHOWN_VALUE],
        )
        for name, value in headers[:MOST_SHOWN_HEADERS]
    ]
    return _encode(
        {
            "method": method[:20],
            "path": path[:MOST_SHOWN_VALUE],
            "headers": shown,
            "body": body[:MOST_SHOWN_BODY_BYTES].decode("utf-8", "replace"),
            "body_bytes": len(body),
        }
    )
