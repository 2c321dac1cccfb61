"""Undoing content codings (RFC 9110, section 8.4.1), in bounded pieces, up to a bounded size.

A few bytes can say many: deflate makes a thousand of one, Brotli far more. So nothing is ever decompressed by more than
a piece at a time, what comes of any coding may be no larger than the limit, and beyond ``FREE_BYTES`` no larger than
``MAX_RATIO`` times what it was made of; real JSON and XML stay below a hundred.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import brotli

from kanca.bodies.unreadable import Unreadable

PIECE_BYTES = 64 * 1024
"""What one step gives at most, or a little more."""
FED_BYTES = 16 * 1024
"""What one step is given at most."""
FREE_BYTES = 1024 * 1024
MAX_RATIO = 200
MOST_CODINGS = 3

Pieces = Iterator[bytes]


@lru_cache(maxsize=64)
def codings_of(header: bytes) -> tuple[str, ...] | None:
    """The codings that a Content-Encoding names, in the order they were applied; None when one cannot be undone.

    ``identity`` is none. More than ``MOST_CODINGS`` are not undone.
    """
    named = [name.strip().lower().decode("latin-1") for name in header.split(b",")]
    codings = tuple(name for name in named if name not in ("identity", ""))
    return codings if len(codings) <= MOST_CODINGS and all(name in _DECODERS for name in codings) else None


def decode_content(body: bytes, codings: tuple[str, ...], limit_bytes: int) -> bytes:
    """The body as it was before ``codings`` were applied to it, one after the other.

    Raises Unreadable: ``invalid_encoding`` for a broken or unfinished stream, ``payload_too_large`` for more than
    ``limit_bytes``, or for far more than such a body can honestly become.
    """
    if not body:
        return body
    view = memoryview(body)
    pieces: Pieces = (bytes(view[at : at + FED_BYTES]) for at in range(0, len(body), FED_BYTES))
    for coding in reversed(codings):
        pieces = _bounded(_DECODERS[coding], pieces, limit_bytes)
    return b"".join(pieces)


def _bounded(decode: Callable[[Iterable[bytes]], Pieces], pieces: Pieces, limit_bytes: int) -> Pieces:
    """What ``decode`` makes of the pieces, for as long as that is within bounds."""
    taken = given = 0

    def counted() -> Pieces:
        nonlocal taken
        for piece in pieces:
            taken += len(piece)
            yield piece

    for made in decode(counted()):
        given += len(made)
        if given > limit_bytes:
            raise Unreadable(
                "payload_too_large", f"The body is larger than {limit_bytes // 1024} KB once it is decoded."
            )
        if given > max(FREE_BYTES, taken * MAX_RATIO):
            raise Unreadable(
                "payload_too_large",
                f"The body becomes more than {MAX_RATIO} times its size once it is decoded.",
            )
        if made:
            yield made


def _gunzip(pieces: Iterable[bytes]) -> Pieces:
    """Undo gzip (RFC 1952): one member or several."""
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for piece in pieces:
        left = piece
        while left:
            if stream.eof:
                stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
            yield from _inflate(stream, left)
            left = stream.unused_data
    _check_end(stream.eof)


def _undeflate(pieces: Iterable[bytes]) -> Pieces:
    """Undo deflate: with the frame of zlib (RFC 1950), as HTTP has it, or without (RFC 1951), as many send it."""
    head, source = b"", iter(pieces)
    while len(head) < 2 and (more := next(source, b"")):
        head += more
    stream = zlib.decompressobj(zlib.MAX_WBITS if _is_framed(head) else -zlib.MAX_WBITS)
    yield from _inflate(stream, head)
    for piece in source:
        _check_end(not stream.eof)
        yield from _inflate(stream, piece)
    _check_end(stream.eof and not stream.unused_data)


def _is_framed(head: bytes) -> bool:
    return len(head) > 1 and head[0] & 0x0F == zlib.DEFLATED and (head[0] << 8 | head[1]) % 31 == 0


def _inflate(stream: zlib._Decompress, data: bytes) -> Pieces:
    is_full = (
        True  # zlib may have taken all that it was given, and still hold back what did not fit into a piece
    )
    while data or is_full:
        try:
            made = stream.decompress(data, PIECE_BYTES)
        except zlib.error:
            raise _broken() from None
        yield made
        is_full = len(made) == PIECE_BYTES
        data = stream.unconsumed_tail


def _unbrotli(pieces: Iterable[bytes]) -> Pieces:
    """Undo Brotli (RFC 7932)."""
    stream = brotli.Decompressor()
    for piece in pieces:
        left, is_full = piece, True
        while left or is_full:
            try:
                made = stream.process(left, output_buffer_limit=PIECE_BYTES)
            except brotli.error:
                raise _broken() from None
            yield made
            is_full = len(made) >= PIECE_BYTES and not stream.is_finished()
            left = b""
    _check_end(stream.is_finished())


def _check_end(is_right: bool) -> None:
    if not is_right:
        raise _broken()


def _broken() -> Unreadable:
    return Unreadable("invalid_encoding", "The body cannot be decoded as its Content-Encoding says.")


_DECODERS: dict[str, Callable[[Iterable[bytes]], Pieces]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
}
