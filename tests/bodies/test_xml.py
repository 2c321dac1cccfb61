"""XML as a document."""

from __future__ import annotations

from typing import Any

import pytest

from kanca.bodies import Unreadable
from kanca.bodies.xml import MAX_XML_DEPTH, MOST_NODES, read_xml


def code_of(body: bytes, charset: str | None = None) -> str:
    with pytest.raises(Unreadable) as caught:
        read_xml(body, charset)
    return caught.value.code


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b"<a/>", {"a": ""}),
        (b"<a> 1 </a>", {"a": " 1 "}),
        (b'<a x="1"/>', {"a": {"@x": "1"}}),
        (b'<a x="1"> 2 </a>', {"a": {"@x": "1", "#text": " 2 "}}),
        (b"<a>\n <b>1</b>\n <c/>\n</a>", {"a": {"b": "1", "c": ""}}),
        (b"<a><b>1</b><c/><b>2</b><b x='3'/></a>", {"a": {"b": ["1", "2", {"@x": "3"}], "c": ""}}),
        (b"<a>one <b>two</b> three</a>", {"a": {"b": "two", "#text": "one  three"}}),
        (b"<a><![CDATA[<b>&]]>&lt;&#351;</a>", {"a": "<b>&<ş"}),
        (b'<s:a xmlns:s="urn:s"><s:b/></s:a>', {"s:a": {"@xmlns:s": "urn:s", "s:b": ""}}),
        (b"<?xml version='1.0'?><!-- x --><a><?p i?>1<!-- y -->2</a>", {"a": "12"}),
    ],
)
def test_elements_are_keys_attributes_have_an_at_and_repeated_elements_are_lists(
    body: bytes, document: dict[str, Any]
) -> None:
    assert read_xml(body, None) == document


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("<a>ş</a>".encode(), None),
        ("<a>ş</a>".encode("iso-8859-9"), "iso-8859-9"),
        ("<?xml version='1.0' encoding='iso-8859-9'?><a>ş</a>".encode("iso-8859-9"), None),
        ("<?xml version='1.0' encoding='latin-1'?><a>ş</a>".encode(), "utf-8"),
        ("<?xml version='1.0' encoding='utf-16'?><a>ş</a>".encode("utf-16"), None),
        ("<?xml version='1.0' encoding='utf-16'?><a>ş</a>".encode(), None),
        ("<a>ş</a>".encode("utf-8-sig"), "latin-1"),
    ],
)
def test_the_charset_is_that_of_the_mark_the_header_or_the_declaration(
    body: bytes, charset: str | None
) -> None:
    assert read_xml(body, charset) == {"a": "ş"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a=1",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"<a>&nbsp;</a>",
        b"<a>\x00</a>",
        b"<a>\xff</a>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1/">]><a>&x;</a>',
    ],
)
def test_what_is_not_xml_or_has_a_document_type_is_refused(body: bytes) -> None:
    assert code_of(body) == "invalid_xml"


def test_a_bomb_of_entities_is_refused_before_it_is_read() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    assert code_of(f'<!DOCTYPE a [<!ENTITY e0 "x">{entities}]><a>&e9;</a>'.encode()) == "invalid_xml"


def test_an_unknown_charset_is_refused() -> None:
    assert code_of(b"<?xml version='1.0' encoding='x-mine'?><a/>") == "unsupported_charset"
    assert code_of(b"<a/>", "x-mine") == "unsupported_charset"


def test_xml_is_so_deep_and_no_deeper() -> None:
    assert read_xml(b"<a>" * MAX_XML_DEPTH + b"</a>" * MAX_XML_DEPTH, None)
    assert code_of(b"<a>" * (MAX_XML_DEPTH + 1) + b"</a>" * (MAX_XML_DEPTH + 1)) == "nested_too_deeply"
    assert code_of(b"<a>" * 1_000_000) == "nested_too_deeply"


def test_xml_has_so_many_elements_and_no_more() -> None:
    assert code_of(b"<a>" + b"<b/>" * MOST_NODES + b"</a>") == "too_many_parts"
    assert len(read_xml(b"<a>" + b"<b/>" * (MOST_NODES - 1) + b"</a>", None)["a"]["b"]) == MOST_NODES - 1
