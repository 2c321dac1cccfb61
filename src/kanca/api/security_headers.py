"""What every answer of management tells browsers: do not guess, frame, store or follow anything."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import Message, Send

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""A route may say something else of any of these."""
HSTS = (b"strict-transport-security", b"max-age=31536000")


def with_security_headers(send: Send, *, is_https: bool, besides: Sequence[tuple[bytes, bytes]] = ()) -> Send:
    """``send``, with these headers and those ``besides`` wherever the answer does not have its own."""

    async def send_headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = list(message["headers"])
            names = {name.lower() for name, _ in own}
            wanted = (*HEADERS, HSTS) if is_https else HEADERS
            added = [header for header in (*wanted, *besides) if header[0] not in names]
            message = {**message, "headers": [*own, *added]}
        await send(message)

    return send_headed
