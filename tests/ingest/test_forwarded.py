"""The ``Forwarded`` header, as RFC 7239 writes it and as nobody should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.ingest.forwarded import read_forwarded

TOKEN = st.text("abcXYZ019!#$%&'*+.^_`|~-", min_size=1)
VALUE = st.text(st.characters(max_codepoint=255))


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        # RFC 7239, sections 4, 6 and 7
        ('for="_gazonk"', [{"for": "_gazonk"}]),
        ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
        ),
        ("for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
        (
            'for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown',
            [{"for": "192.0.2.43"}, {"for": "[2001:db8:cafe::17]"}, {"for": "unknown"}],
        ),
        ("for=_hidden, for=_SEVKISEK", [{"for": "_hidden"}, {"for": "_SEVKISEK"}]),
        # what else is met
        ("for=192.0.2.43:4711 ; proto=https", [{"for": "192.0.2.43:4711", "proto": "https"}]),
        ("for=[2001:db8::1]", [{"for": "[2001:db8::1]"}]),
        ('for="a\\"b, c;d"', [{"for": 'a"b, c;d'}]),
        ("for=a;;proto=https;, ,for=b", [{"for": "a", "proto": "https"}, {"for": "b"}]),
        ("", []),
        (" , ;", []),
    ],
)
def test_what_each_proxy_said_is_read(text: str, elements: list[dict[str, str]]) -> None:
    assert read_forwarded(text) == elements


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1",
        "for",
        "for =1.2.3.4",
        "for= 1.2.3.4",
        'for="192.0.2.1',
        'for="a"b',
        'for=a"b"',
        "for=a;for=b",
        "for=a;FOR=b",
        "for=a b",
        "=a",
        'for=injected;by=", for=192.0.2.43',
        'for=injected;by=", for="[2001:db8::1]"',
        'for=injected;by=", for="192.0.2.43:80";proto=https',
        'for=injected;by="\\", for="192.0.2.43"',
    ],
)
def test_what_is_malformed_is_malformed_as_a_whole(text: str) -> None:
    assert read_forwarded(text) is None


@given(VALUE)
def test_nothing_raises(text: str) -> None:
    elements = read_forwarded(text)
    assert elements is None or all(elements)


@given(st.lists(st.dictionaries(TOKEN.map(str.lower), VALUE, min_size=1), min_size=1))
def test_whatever_is_written_with_quotes_is_read_back(elements: list[dict[str, str]]) -> None:
    written = ", ".join(
        ";".join(
            '{}="{}"'.format(name.upper(), value.replace("\\", "\\\\").replace('"', '\\"'))
            for name, value in element.items()
        )
        for element in elements
    )
    assert read_forwarded(written) == elements


@pytest.mark.parametrize("piece", ['"', "\\", 'for="', ";", ",", "a=", 'a="\\', " \t"])
def test_the_time_grows_no_faster_than_the_header(piece: str) -> None:
    read_forwarded(piece * (65_536 // len(piece)))  # quadratic would be minutes
