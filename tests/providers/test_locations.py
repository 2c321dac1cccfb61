from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.providers.locations import find, parse_path, text_of

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("path", "found"),
    [("type", "a"), ("data.items.1.id", "two"), ("data.items.2.id", None), ("type.x", None), ("none", None)],
)
def test_a_path_goes_through_objects_and_lists(path: str, found: Any) -> None:
    body = {"type": "a", "data": {"items": [{"id": "one"}, {"id": "two"}]}}
    assert find(body, parse_path(path)) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": {"b": "json"}}', "json"),
        (" <a><b>xml</b></a>", "xml"),
        ("eyJhIjogeyJiIjog\nImluIGJhc2U2NCJ9fQ==\n", "in base64"),
        ("PGE+PGI+eG1sIGluIGJhc2U2NDwvYj48L2E+", "xml in base64"),
        ("{", None),
        ("=", None),
        ("no document", None),
        ("", None),
        ("\ud800", None),
        (7, None),
        ({"@document": {"a": {"b": "a key of that name"}}}, "a key of that name"),
    ],
)
def test_a_text_that_holds_a_document_can_be_looked_into(text: Any, found: Any) -> None:
    assert find({"text": text}, ("text", "@document", "a", "b")) == found


@pytest.mark.parametrize("path", ["", ".", "a..b", "a.", ".".join("abcdefghijklmnopq")])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is no path"):
        parse_path(path)


@given(
    ANY, st.lists(st.sampled_from(["a", "0", "1", "٣", "99999999999", "@document"]), min_size=1, max_size=4)
)
def test_looking_into_anything_never_raises(body: Any, path: list[str]) -> None:
    text = text_of(find(body, tuple(path)))
    assert text is None or isinstance(text, str)


def test_what_is_no_name_has_no_text() -> None:
    values: tuple[Any, ...] = (None, True, 1.5, [], {}, 1 << 20_000, -(1 << 20_000))
    for value in values:
        assert text_of(value) is None
