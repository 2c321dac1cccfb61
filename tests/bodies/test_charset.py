"""From bytes to text."""

from __future__ import annotations

import encodings

import pytest

from kanca.bodies.charset import decode_text, find_charset
from kanca.bodies.unreadable import Unreadable


@pytest.mark.parametrize(
    ("name", "charset"),
    [
        ("utf-8", "utf-8"),
        ("UTF8", "utf-8"),
        ("iso-8859-1", "latin-1"),
        ("ISO_8859-9", "iso8859-9"),
        ("latin5", "iso8859-9"),
        ("windows-1254", "cp1254"),
        ("cp1254", "cp1254"),
        ("Shift_JIS", "shift-jis"),
        ("us-ascii", "ascii"),
        ("koi8-r", "koi8-r"),
        ("gb18030", "gb18030"),
        ("euc-kr", "euc-kr"),
        ("iso-8859-15", "iso8859-15"),
        ("windows-31j", "cp932"),
    ],
)
def test_a_charset_has_many_names(name: str, charset: str) -> None:
    assert find_charset(name) == charset
    "a".encode(charset)


@pytest.mark.parametrize(
    "name",
    ["idna", "punycode", "hex", "zlib", "unicode_escape", "utf-7", "undefined", "x" * 10_000, "ütf", ""],
)
def test_what_is_no_charset_is_refused(name: str) -> None:
    with pytest.raises(Unreadable) as caught:
        find_charset(name)
    assert caught.value.code == "unsupported_charset"
    assert len(caught.value.detail) < 300


def test_names_that_nobody_knows_are_not_remembered() -> None:
    looked_up = vars(encodings)["_cache"]
    known = len(looked_up)
    for number in range(100):
        with pytest.raises(Unreadable):
            find_charset(f"charset-{number}")
    assert len(looked_up) == known


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_more_than_the_sender(charset: str) -> None:
    assert decode_text("Şişli".encode(charset), "latin-1") == "Şişli"


def test_undeclared_text_is_utf_8_or_what_old_senders_mean() -> None:
    assert decode_text("Şişli €".encode(), None) == "Şişli €"
    assert decode_text("café €".encode("cp1252"), None) == "café €"
    assert decode_text(b"\x81\xe9", None) == "\x81é"
