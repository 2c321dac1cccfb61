"""Content codings: undone in bounded pieces, up to a bounded size."""

from __future__ import annotations

import gzip
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies import Unreadable, codings_of, decode_content
from kanca.bodies.decoding import FED_BYTES, FREE_BYTES, MAX_RATIO, PIECE_BYTES

MB = 1024 * 1024


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": lambda body: brotli.compress(body, quality=3),
}
CODINGS = st.lists(st.sampled_from(sorted(ENCODERS)), min_size=1, max_size=3).map(tuple)
BODIES = st.binary(max_size=500) | st.builds(
    lambda seed, size: random.Random(seed).randbytes(size), st.integers(), st.integers(0, 3 * FED_BYTES)
)


def encode(body: bytes, codings: tuple[str, ...]) -> bytes:
    for coding in codings:
        body = ENCODERS[coding](body)
    return body


def refusal_of(body: bytes, *codings: str, limit_bytes: int = MB) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        decode_content(body, codings, limit_bytes)
    return caught.value


@given(BODIES, CODINGS)
def test_whatever_was_encoded_comes_back(body: bytes, codings: tuple[str, ...]) -> None:
    assert decode_content(encode(body, codings), codings, MB) == body


@given(BODIES.filter(bool), CODINGS, st.data())
def test_a_body_cut_short_is_refused(body: bytes, codings: tuple[str, ...], data: st.DataObject) -> None:
    encoded = encode(body, codings)
    cut = data.draw(st.integers(1, len(encoded) - 1))
    assert refusal_of(encoded[:cut], *codings).code == "invalid_encoding"


@given(st.binary(min_size=1, max_size=300), CODINGS)
def test_arbitrary_bytes_are_decoded_or_refused(body: bytes, codings: tuple[str, ...]) -> None:
    try:
        decode_content(body, codings, MB)
        code = None
    except Unreadable as error:
        code = error.code
    assert code in {None, "invalid_encoding", "payload_too_large"}


@pytest.mark.parametrize("coding", [*sorted(ENCODERS), "raw"])
@pytest.mark.parametrize("more", [*range(-300, 300, 7), -1, 0, 1])
def test_a_body_that_ends_with_a_piece_is_whole(coding: str, more: int) -> None:
    body = bytes(2 * PIECE_BYTES + more)
    encoded = raw_deflate(body) if coding == "raw" else ENCODERS[coding](body)
    assert decode_content(encoded, ("deflate" if coding == "raw" else coding,), MB) == body


@given(BODIES)
def test_deflate_is_undone_with_a_frame_and_without(body: bytes) -> None:
    assert decode_content(raw_deflate(body), ("deflate",), MB) == body


def test_gzip_may_have_several_members() -> None:
    members = b"".join(gzip.compress(b"%d," % number) for number in range(2000))
    assert decode_content(members, ("gzip",), MB) == b"".join(b"%d," % number for number in range(2000))


@pytest.mark.parametrize("coding", sorted(ENCODERS))
def test_nothing_may_follow_the_end(coding: str) -> None:
    encoded = ENCODERS[coding](b"{}")
    for more in (b"x", b"\x00" * 20, b"x" * 2 * FED_BYTES):
        assert refusal_of(encoded + more, coding).code == "invalid_encoding"


def test_a_changed_byte_is_noticed() -> None:
    encoded = bytearray(gzip.compress(random.Random(1).randbytes(1000)))
    encoded[500] ^= 1
    assert refusal_of(bytes(encoded), "gzip").code == "invalid_encoding"


def test_no_body_is_no_body_in_any_coding() -> None:
    assert decode_content(b"", ("gzip", "br"), MB) == b""


@pytest.mark.parametrize("coding", sorted(ENCODERS))
def test_a_body_may_become_as_large_as_the_limit_and_no_larger(coding: str) -> None:
    body = random.Random(2).randbytes(100 * 1024)
    encoded = ENCODERS[coding](body)
    assert decode_content(encoded, (coding,), len(body)) == body
    assert refusal_of(encoded, coding, limit_bytes=len(body) - 1).code == "payload_too_large"


@pytest.mark.parametrize("coding", sorted(ENCODERS))
def test_a_small_body_may_say_much_the_same_and_a_large_one_not(coding: str) -> None:
    small, large = bytes(FREE_BYTES - PIECE_BYTES), bytes(8 * MB)
    assert decode_content(ENCODERS[coding](small), (coding,), 100 * MB) == small
    refusal = refusal_of(ENCODERS[coding](large), coding, limit_bytes=100 * MB)
    assert refusal.code == "payload_too_large"
    assert str(MAX_RATIO) in refusal.detail


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        (b"gzip", ("gzip",)),
        (b"GZip", ("gzip",)),
        (b"x-gzip", ("x-gzip",)),
        (b"identity", ()),
        (b"", ()),
        (b" , ", ()),
        (b"identity, gzip, identity", ("gzip",)),
        (b"deflate,gzip , br", ("deflate", "gzip", "br")),
        (b"gzip, gzip, gzip, gzip", None),
        (b"zstd", None),
        (b"gzip, compress", None),
        (b"gz\xffip", None),
    ],
)
def test_a_header_names_codings_in_the_order_they_were_applied(
    header: bytes, codings: tuple[str, ...] | None
) -> None:
    assert codings_of(header) == codings


def gzip_bomb(compressed_bytes: int) -> bytes:
    """Zeros in gzip, a thousand times as many as there are bytes; made of one block again and again."""
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * (compressed_bytes // len(block))


def test_a_bomb_of_ten_gigabytes_is_refused_at_once_and_in_little_memory() -> None:
    bomb = gzip_bomb(10 * MB)
    assert len(bomb) * 1000 > 10_000_000_000
    for limit_bytes in (MB, 100 * MB):
        tracemalloc.start()
        began = time.process_time()
        refusal = refusal_of(bomb, "gzip", limit_bytes=limit_bytes)
        took_s = time.process_time() - began
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert refusal.code == "payload_too_large"
        assert most < 64 * MB
        assert took_s < 2


@pytest.mark.parametrize("outer", sorted(ENCODERS))
def test_a_bomb_within_another_coding_is_refused_too(outer: str) -> None:
    empty_blocks = b"\x00\x00\x00\xff\xff" * (4 * MB)  # 20 MB of deflate that say nothing
    wrapped = ENCODERS[outer](empty_blocks + b"\x03\x00")
    began = time.process_time()
    assert refusal_of(wrapped, "deflate", outer, limit_bytes=10 * MB).code == "payload_too_large"
    assert time.process_time() - began < 2
    assert refusal_of(encode(bytes(100 * MB), (outer, "gzip")), outer, "gzip", limit_bytes=100 * MB).code == (
        "payload_too_large"
    )
