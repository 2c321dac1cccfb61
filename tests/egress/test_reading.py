from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from kanca.egress.reading import BadEncoding, read_limited


async def in_chunks(data: bytes, size_bytes: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size_bytes):
        yield data[start : start + size_bytes]


async def endless(chunk: bytes) -> AsyncIterator[bytes]:
    while True:
        yield chunk


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


TEXT = b"The quick brown fox jumps over the lazy dog. " * 20


@pytest.mark.parametrize(("limit_bytes", "truncated"), [(900, False), (901, False), (899, True), (0, True)])
async def test_a_body_is_read_up_to_the_limit(limit_bytes: int, truncated: bool) -> None:
    assert len(TEXT) == 900
    assert await read_limited(in_chunks(TEXT), "", limit_bytes) == (TEXT[:limit_bytes], truncated)


@pytest.mark.parametrize(
    ("encoding", "encoded"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("x-gzip", gzip.compress(TEXT, mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
    ],
)
@pytest.mark.parametrize("size_bytes", [1, 7, 10_000])
async def test_compressed_bodies_are_decoded(encoding: str, encoded: bytes, size_bytes: int) -> None:
    assert await read_limited(in_chunks(encoded, size_bytes), encoding, 10_000) == (TEXT, False)
    assert await read_limited(in_chunks(encoded, size_bytes), encoding, 100) == (TEXT[:100], True)


async def test_other_encodings_are_left_as_they_are() -> None:
    assert await read_limited(in_chunks(b"\x1b\x03"), "br", 100) == (b"\x1b\x03", False)


async def test_an_endless_body_ends_at_the_limit() -> None:
    assert await read_limited(endless(b"x" * 100), "", 250) == (b"x" * 250, True)


async def test_a_bomb_is_unpacked_no_further_than_the_limit() -> None:
    bomb = zlib.compress(b"\0" * 50_000_000, 9)
    assert len(bomb) < 60_000
    assert await read_limited(in_chunks(bomb, 60_000), "deflate", 1000) == (b"\0" * 1000, True)


async def test_what_follows_the_end_of_a_compressed_body_is_not_collected() -> None:
    async def with_a_tail() -> AsyncIterator[bytes]:
        yield gzip.compress(TEXT)
        async for chunk in endless(b"tail" * 1000):
            yield chunk

    assert await read_limited(with_a_tail(), "gzip", 10_000) == (TEXT, True)


@pytest.mark.parametrize(
    "garbage", [b"not compressed at all", gzip.compress(TEXT, mtime=0)[:20] + b"\xff" * 50]
)
async def test_a_body_that_is_not_encoded_as_it_says_is_an_error(garbage: bytes) -> None:
    with pytest.raises(BadEncoding):
        await read_limited(in_chunks(garbage), "gzip", 10_000)
