"""Forms with files."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies import Unreadable, read_body, read_document
from kanca.bodies.multipart import MOST_HEADERS, MOST_OPTIONS, MOST_PARTS

KIND = "multipart/form-data; boundary=----b1"


def part(data: bytes, disposition: str = 'form-data; name="a"', *headers: str) -> bytes:
    lines = [f"Content-Disposition: {disposition}", *headers]
    return b"------b1\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"------b1--\r\n"


def code_of(body: bytes, content_type: str = KIND) -> str:
    with pytest.raises(Unreadable) as caught:
        read_body(body, content_type)
    return caught.value.code


@given(st.binary(max_size=300).filter(lambda data: b"------b1" not in data))
def test_a_file_comes_back_byte_for_byte(data: bytes) -> None:
    body = form(part(data, 'form-data; name="f"; filename="a.bin"', "Content-Type: application/pdf"))
    assert read_document(body, KIND)["f"] == {
        "filename": "a.bin",
        "content_type": "application/pdf",
        "size": len(data),
        "encoding": "base64",
        "data": read_document(body, KIND)["f"]["data"],
    }
    assert b64decode(read_document(body, KIND)["f"]["data"]) == data


def test_fields_are_text_and_repeated_ones_lists() -> None:
    parts = [part(b"1"), part("ş".encode(), 'form-data; name="ğ"'), part(b""), part(b"\xe9")]
    assert read_document(form(*parts), KIND) == {"a": ["1", "", "é"], "ğ": "ş"}


def test_a_field_is_in_the_charset_that_it_says() -> None:
    plain = "Content-Type: text/plain; charset=iso-8859-9"
    assert read_document(form(part(b"\xfe", 'form-data; name="a"', plain)), KIND) == {"a": "ş"}
    assert code_of(form(part(b"\xff", 'form-data; name="a"', "Content-Type: text/plain; charset=utf-8"))) == (
        "invalid_multipart"
    )


@pytest.mark.parametrize("media_type", ["text/csv", "application/json", "application/xml"])
def test_a_file_of_text_is_text_if_it_is_utf_8(media_type: str) -> None:
    def file(data: bytes) -> bytes:
        return form(part(data, 'form-data; name="f"; filename="ş"', f"Content-Type: {media_type}"))

    assert read_document(file("ş".encode()), KIND)["f"] == {
        "filename": "ş",
        "content_type": media_type,
        "size": 2,
        "encoding": "text",
        "data": "ş",
    }
    assert read_document(file(b"\xff"), KIND)["f"]["encoding"] == "base64"


def test_what_a_client_makes_is_read() -> None:
    body = form(part(b"x", 'form-data; name="quo\\"te"; filename=""'))
    assert read_document(body, KIND)['quo"te']["filename"] == ""
    assert read_document(form(), KIND) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"a=1",
        part(b"1"),
        part(b"1") + b"------b1",
        b"------b1\r\nContent-Disposition: form-data\r\n\r\n1\r\n------b1--\r\n",
        b"------b1\r\n\r\n1\r\n------b1--\r\n",
        form(part(b"1", "attachment; name=a")),
        form(part(b"1", 'form-data; name="a"', "no colon")),
        form(part(b"1", 'form-data; name="a"', *["X: 1"] * MOST_HEADERS)),
        form(part(b"1", 'form-data; name="a"', "X: " + "x" * 10_000)),
    ],
)
def test_what_is_no_such_form_is_refused(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert code_of(body) == "invalid_multipart"
    assert caplog.text == ""


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "x" * 400]
)
def test_a_boundary_must_be_named_and_short(content_type: str) -> None:
    assert code_of(form(part(b"1")), content_type) == "invalid_multipart"


def test_a_form_has_so_many_parts_and_no_more() -> None:
    assert len(read_document(form(part(b"1") * MOST_PARTS), KIND)["a"]) == MOST_PARTS
    assert code_of(form(part(b"1") * (MOST_PARTS + 1))) == "too_many_parts"


@pytest.mark.parametrize("header", ["Content-Disposition", "Content-Type"])
def test_a_header_of_a_part_has_so_many_options_and_no_more(header: str) -> None:
    def body(options: int) -> bytes:
        named = 'form-data; name="a"'
        if header == "Content-Type":
            return form(part(b"1", named, "Content-Type: text/plain" + ";" * options))
        return form(part(b"1", named + ";" * (options - 1)))

    assert read_document(body(MOST_OPTIONS), KIND) == {"a": "1"}
    assert code_of(body(MOST_OPTIONS + 1)) == "invalid_multipart"
