from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.providers.schemes.encoding import Encoding, decode, encode

ENCODINGS: tuple[Encoding, ...] = ("hex", "base64", "base64url")


@given(st.binary())
def test_what_is_encoded_is_decoded(signature: bytes) -> None:
    for encoding in ENCODINGS:
        assert decode(encode(signature, encoding).encode(), encoding) == signature


@given(st.binary(), st.sampled_from(ENCODINGS))
def test_decoding_garbage_never_raises(text: bytes, encoding: Encoding) -> None:
    decode(text, encoding)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (b"abc", "hex"), (b"ab cd", "hex"), (b"0xab", "hex"), (b"ab\n", "hex"), (b"\xff\xff", "hex"),
        (b"QUJ", "base64"), (b"QU JD", "base64"), (b"QUJD\n", "base64"), (b"QQ==QQ==", "base64"), (b"-_-_", "base64"),
        (b"+/+/", "base64url"), (b"Q", "base64url"), (b"QU JD", "base64url"), (b"QQ=====", "base64url"),
        (b"QR==", "base64"), (b"QUJ=", "base64"), (b"QR", "base64url"), (b"QR==", "base64url"),
    ],
)  # fmt: skip
def test_blanks_foreign_characters_and_loose_ends_are_not_forgiven(text: bytes, encoding: Encoding) -> None:
    assert decode(text, encoding) is None


def test_upper_case_hex_and_padded_base64url_are_understood() -> None:
    assert decode(b"ABCD", "hex") == b"\xab\xcd"
    assert decode(b"_-8=", "base64url") == decode(b"_-8", "base64url") == b"\xff\xef"
