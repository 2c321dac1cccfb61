from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.credential import (
    MAX_VALUE_LENGTH,
    Credential,
    ImpossibleCredential,
    additions,
    read_credential,
    secrets_of,
)

TOKEN = "sk_live_0123456789"


def a_credential(kind: str = "bearer", **values: str) -> Credential:
    return read_credential("shop", kind, values)


@pytest.mark.parametrize(
    ("kind", "values", "headers", "query"),
    [
        ("bearer", {"token": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}, {}),
        # RFC 7617, sections 2 and 2.1
        (
            "basic",
            {"username": "Aladdin", "password": "open sesame"},
            {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
            {},
        ),
        ("basic", {"username": "test", "password": "123£"}, {"Authorization": "Basic dGVzdDoxMjPCow=="}, {}),
        ("basic", {"username": "key", "password": ""}, {"Authorization": "Basic a2V5Og=="}, {}),
        ("header", {"name": "X-Api-Key", "value": "a b"}, {"X-Api-Key": "a b"}, {}),
        ("query", {"name": "key", "value": "a&b"}, {}, {"key": "a&b"}),
    ],
)
def test_each_kind_is_sent_in_its_own_way(
    kind: str, values: dict[str, str], headers: dict[str, str], query: dict[str, str]
) -> None:
    added = additions(a_credential(kind, **values))
    assert (added.headers, added.query) == (headers, query)


@pytest.mark.parametrize(
    ("kind", "values", "problems"),
    [
        ("cookie", {"token": "t"}, {"kind": "must be one of: bearer, basic, header, query"}),
        ("bearer", {}, {"token": "a bearer credential needs it"}),
        ("bearer", {"token": ""}, {"token": "a bearer credential needs it"}),
        ("bearer", {"token": "a b"}, {"token": "must be a text without spaces and control characters"}),
        ("bearer", {"token": "a\n"}, {"token": "must be a text without spaces and control characters"}),
        ("bearer", {"token": "\ud800"}, {"token": "must be a text without spaces and control characters"}),
        (
            "bearer",
            {"token": "t" * (MAX_VALUE_LENGTH + 1)},
            {"token": f"has more than {MAX_VALUE_LENGTH} characters"},
        ),
        ("bearer", {"token": "t", "value": "v"}, {"value": "is no part of a bearer credential"}),
        (
            "basic",
            {"username": "a:b"},
            {
                "username": "must be a text without colons and control characters",
                "password": "a basic credential needs it",
            },
        ),
        ("header", {"name": "X Key", "value": "v"}, {"name": "must be the name of a header"}),
        (
            "header",
            {"name": "X-Key", "value": "v\r\nX-Other: w"},
            {"value": "must have no control characters, and no spaces around it"},
        ),
        (
            "header",
            {"name": "X-Key", "value": "v "},
            {"value": "must have no control characters, and no spaces around it"},
        ),
        ("query", {"name": "key", "value": "\x00"}, {"value": "must have no control characters"}),
    ],
)
def test_all_that_is_wrong_is_said_without_what_was_given(
    kind: str, values: dict[str, str], problems: dict[str, str]
) -> None:
    with pytest.raises(ImpossibleCredential) as refused:
        a_credential(kind, **values)
    assert dict(refused.value.problems) == problems


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "n" * 65])
def test_a_name_is_one_that_definitions_can_write(name: str) -> None:
    with pytest.raises(ImpossibleCredential, match="1 to 64 letters"):
        read_credential(name, "bearer", {"token": "t"})


@given(kind=st.sampled_from(["bearer", "basic", "header", "query"]), values=st.lists(st.text(), min_size=2))
def test_whatever_is_taken_can_be_sent_in_one_line(kind: str, values: list[str]) -> None:
    keys = {"bearer": ["token"], "basic": ["username", "password"]}.get(kind, ["name", "value"])
    try:
        added = additions(a_credential(kind, **dict(zip(keys, values, strict=False))))
    except ImpossibleCredential:
        return
    for text in (*added.headers, *added.headers.values(), *added.query, *added.query.values()):
        assert not set("\r\n\x00") & set(text)
        text.encode()


def test_what_is_printed_of_it_has_no_secret() -> None:
    credential = a_credential(token=TOKEN)
    assert TOKEN not in repr(credential) + repr(additions(credential))
    assert "shop" in repr(credential)


@pytest.mark.parametrize(
    ("kind", "values", "secrets"),
    [
        ("bearer", {"token": TOKEN}, {TOKEN}),
        ("bearer", {"token": "1234567"}, set()),
        (
            "basic",
            {"username": "Aladdin", "password": "open sesame"},
            {"open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ"},
        ),
        ("basic", {"username": "user", "password": "short"}, {"dXNlcjpzaG9ydA"}),
        ("basic", {"username": TOKEN, "password": ""}, {TOKEN, "c2tfbGl2ZV8wMTIzNDU2Nzg5Og"}),
        ("header", {"name": "X-Api-Key", "value": f"Token {TOKEN}"}, {f"Token {TOKEN}", TOKEN}),
        ("query", {"name": "a-long-name", "value": TOKEN}, {TOKEN}),
    ],
)
def test_what_is_hidden_are_the_secrets_themselves(
    kind: str, values: dict[str, str], secrets: set[str]
) -> None:
    assert secrets_of(a_credential(kind, **values)) == secrets
