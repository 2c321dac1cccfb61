"""A request and its answer, whatever protocol they travel by."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from kanca.domain.trace import Trace

Chunks = Callable[[], Awaitable[tuple[bytes, bool]]]
"""Gives the next piece of the body, and whether more may follow. Raises ClientGone."""


class ClientGone(Exception):
    """The client went away before its body was complete."""


class Request(Struct, frozen=True):
    """What an adapter hands to ``accept``. The body has not been read yet."""

    method: str
    path: str
    """The path below the place where Kanca is mounted: what the routes are compared with."""
    target: str
    """That path with its query, as the sender wrote it: some senders sign it."""
    scheme: str
    """``http`` or ``https``: how it reached this process."""
    peer: str
    """The address at the other end of the connection; empty when there is none."""
    headers: Sequence[tuple[bytes, bytes]]
    """As they came, names in lower case."""
    chunks: Chunks
    mount: str = ""
    """Where in somebody's application Kanca is mounted."""
    trace: Trace | None = None
    """Where answering it stands in a trace, where that is recorded."""


class Said(Struct, frozen=True):
    """What is answered to whoever it is: all of an answer but what a browser asks for."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """Names in lower case."""
    body: bytes


class Answer(Struct, frozen=True):
    """What the adapter sends back."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    ends_connection: bool = False
    """The request was not read to its end, so that nothing more can come over its connection."""


def whole(body: bytes) -> Chunks:
    """A body that is there already."""

    async def chunks() -> tuple[bytes, bool]:
        return body, False

    return chunks
