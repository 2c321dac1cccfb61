"""Reading a response's body up to a limit, whatever its sender claims or packs into it."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_RAW_DEFLATE = -zlib.MAX_WBITS


class BadEncoding(ValueError):
    """The body is not encoded as its header says."""


async def read_limited(chunks: AsyncIterator[bytes], encoding: str, limit_bytes: int) -> tuple[bytes, bool]:
    """At most ``limit_bytes`` of the decoded body, and whether there was more of it.

    gzip and deflate are decoded, no further than the limit: a few kilobytes can unpack to gigabytes. Other encodings
    are left as they are. Raises BadEncoding.
    """
    body = bytearray()
    is_compressed = encoding in ("gzip", "x-gzip", "deflate")
    decoder: zlib._Decompress | None = None
    async for chunk in chunks:
        wanted = limit_bytes + 1 - len(body)
        if decoder is not None and decoder.eof:
            return bytes(body), True  # something follows that belongs to no body; it may have no end
        if is_compressed and decoder is None:
            decoder = zlib.decompressobj(_window_bits(encoding, chunk[0]))
        body += chunk[:wanted] if decoder is None else _decoded(decoder, chunk, wanted)
        if len(body) > limit_bytes:
            return bytes(body[:limit_bytes]), True
    if decoder is not None and not decoder.eof:
        raise BadEncoding
    return bytes(body), False


def _window_bits(encoding: str, first_byte: int) -> int:
    """What zlib must expect. Some senders mean deflate without its header, whose first byte ends in 8 (RFC 1950)."""
    return _RAW_DEFLATE if encoding == "deflate" and first_byte & 0x0F != 8 else _GZIP_OR_ZLIB


def _decoded(decoder: zlib._Decompress, chunk: bytes, limit_bytes: int) -> bytes:
    """At most ``limit_bytes`` of what ``chunk`` unpacks to. What is left over is dropped: the limit is reached."""
    try:
        return decoder.decompress(chunk, limit_bytes)
    except zlib.error:
        raise BadEncoding from None
