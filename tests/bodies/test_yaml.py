from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kanca.bodies.unreadable import Unreadable
from kanca.bodies.yaml import MAX_YAML_BYTES, read_yaml, write_yaml

TEXTS = st.text() | st.sampled_from(
    [
        "yes",
        "no",
        "on",
        "off",
        "true",
        "null",
        "~",
        "",
        "1e3",
        "012",
        "1_0",
        "12:30",
        "2026-03-01",
        "<<",
        "=",
        "!x",
    ]
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
)
BILLION = b"a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@given(JSON)
def test_what_is_written_is_read_again(document: Any) -> None:
    [read] = read_yaml(write_yaml(document).encode())
    assert json.dumps(read) == json.dumps(document)


@given(JSON)
def test_other_readers_take_no_text_for_anything_else(document: Any) -> None:
    assert _texts(yaml.safe_load(write_yaml(document))) == _texts(document)


def _texts(document: Any) -> list[str]:
    match document:
        case dict():
            return [text for pair in document.items() for each in pair for text in _texts(each)]
        case list():
            return [text for each in document for text in _texts(each)]
        case str():
            return [document]
        case _:
            return []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[yes, no, on, off, True, y]", ["yes", "no", "on", "off", "True", "y"]),
        ("[true, false, 'true', null, ~, 'null', ]", [True, False, "true", None, None, "null"]),
        (
            "[1, -2.5, 1e3, 1E-2, +1, 1., .5, 0x1F, 1_000]",
            [1, -2.5, 1000.0, 0.01, "+1", "1.", ".5", "0x1F", "1_000"],
        ),
        ("[007, 0o7, 12:30, 2026-03-01, .inf, .nan]", ["007", "0o7", "12:30", "2026-03-01", ".inf", ".nan"]),
        ("on: {true: 1, 2: b, null: c}", {"on": {"true": 1, "2": "b", "null": "c"}}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("a: !!str 5", {"a": "5"}),
        ("a: &anchor 5", {"a": 5}),
        ("text: |\n  =a\n  b\n", {"text": "=a\nb\n"}),
        ('{"json": ["\\u0041", 1.0]}', {"json": ["A", 1.0]}),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_a_value_is_what_a_person_sees(text: str, value: Any) -> None:
    [read] = read_yaml(text.encode())
    assert json.dumps(read) == json.dumps(value)


def test_several_documents_are_read_one_after_the_other() -> None:
    assert read_yaml(b"a: 1\n---\n- 2\n---\n") == [{"a": 1}, [2], None]
    assert read_yaml(b"# nothing\n") == []


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (BILLION, "invalid_yaml", "aliases are not read (line 2"),
        (b"a: &a [*a]", "invalid_yaml", "aliases"),
        (b"a: 1\nb: 2\na: 3", "invalid_yaml", "the key 'a' stands there twice (line 3, column 1)"),
        (b"{a: {b: 1, 'b': 2}}", "invalid_yaml", "'b' stands there twice"),
        (b"? [a]\n: b", "invalid_yaml", "a key must be a text"),
        (b"!!python/object/apply:os.system [ls]", "invalid_yaml", "python/object"),
        (b"!!set {a}", "invalid_yaml", "not read"),
        (b"!!int '5'", "invalid_yaml", "not read"),
        (b"!own x", "invalid_yaml", "'!own'"),
        (b"%TAG ! tag:x,2000:\n---\n!y z", "invalid_yaml", "tag:x,2000:y"),
        (b"a: [1", "invalid_yaml", "line 1"),
        (b"\xff", "invalid_utf8", "byte 0"),
        (b"a: \x00", "invalid_yaml", "special characters"),
        (b"1e999", "invalid_yaml", "out of range"),
        (b"1" * 5000, "invalid_yaml", "cannot be read"),
        (b"[" * 2000, "nested_too_deeply", "256"),
        (b"- " * 2000, "nested_too_deeply", "256"),
        (b" " * (MAX_YAML_BYTES + 1), "too_large", "bytes"),
    ],
)
def test_what_is_no_json_is_refused(text: bytes, code: str, words: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_yaml(text)
    assert refused.value.code == code
    assert words in refused.value.detail


@given(st.binary() | st.text(alphabet="a:-?[]{}&*!|>'\"%@`# \n\t,").map(str.encode))
def test_no_text_breaks_the_reader(text: bytes) -> None:
    with contextlib.suppress(Unreadable):
        read_yaml(text)
