"""Ways to spoil the value of a header or a field."""

from __future__ import annotations

from collections.abc import Iterator

_MEANINGFUL_BITS = (0x01, 0x02, 0x04, 0x10, 0x80)
"""Not the bit that tells small letters from capitals: hexadecimal digits and ``Bearer`` mean the same in both."""


def flipped(value: bytes, position: int, bit: int) -> bytes:
    return value[:position] + bytes([value[position] ^ bit]) + value[position + 1 :]


def flips(value: bytes) -> Iterator[bytes]:
    """The value with one bit changed, in several places, its end among them."""
    last = len(value) - 1
    places = {*range(0, last, max(1, last // 12)), *range(max(0, last - 3), last + 1)}
    yield from (flipped(value, place, bit) for place in places for bit in _MEANINGFUL_BITS)


def mangled(value: bytes) -> Iterator[bytes | None]:
    """What is no longer the value: cut short, gone, too long, foreign."""
    yield None
    yield from (value[:length] for length in (0, 1, len(value) // 2, len(value) - 2, len(value) - 1))
    yield from (b"A" * 100_000, b"0" * 100_000, value * (100_000 // (len(value) or 1)), b"," * 100_000)
    yield from (
        b"\x00",
        b"\xff" + value[1:],
        value[:-1] + b"\xc3",
        "ğüş".encode(),
        b"%s%n",
        b"{}",
        b"==",
        b" ",
    )
    yield from (
        value[:4] + b"\x00" + value[4:],
        value[:4] + b" " + value[4:],
        value[:4] + b"\r\n" + value[4:],
    )
    yield value[::-1]


def repeated(value: bytes) -> Iterator[bytes]:
    """The very value, but twice or with blanks around it: right in a list, wrong elsewhere."""
    yield from (value + b", " + value, value + b"," + value, value + b" " + value, value + b",", b"," + value)
    yield from (b" " + value, value + b" ", b"\t" + value + b"\t", value + b"\n", value + b" " * 100_000)
