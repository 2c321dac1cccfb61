from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.credential import (
    MAX_VALUE_LENGTH,
    PLAIN_KINDS,
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
        ("cookie", {"token": "t"}, {"kind": "must be one of: bearer, basic, header, query, oauth2, mtls"}),
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


OAUTH2 = {"token_url": "https://id.example/token?a=b", "client_id": "kanca", "client_secret": "s_0123456789"}
PEM = "-----BEGIN X-----\nAAAA\r\n-----END X-----\n"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("oauth2", OAUTH2),
        ("oauth2", OAUTH2 | {"scope": "read write:all https://api.example/all"}),
        ("oauth2", OAUTH2 | {"token_url": "http://10.0.0.1:8080/token"}),
        ("mtls", {"certificate": PEM * 300, "private_key": PEM * 100}),
    ],
)
def test_what_has_to_be_fetched_or_made_is_not_sent_as_it_stands(kind: str, values: dict[str, str]) -> None:
    credential = a_credential(kind, **values)
    assert credential.values == values
    assert credential.kind not in PLAIN_KINDS
    with pytest.raises(ValueError, match=kind):
        additions(credential)
    assert "s_0123456789" not in repr(credential)


def test_of_the_client_of_oauth2_the_secret_is_hidden_and_of_a_certificate_nothing_is_sent() -> None:
    assert secrets_of(a_credential("oauth2", **OAUTH2)) == {"s_0123456789"}
    assert secrets_of(a_credential("mtls", certificate=PEM, private_key=PEM)) == frozenset()


@pytest.mark.parametrize(
    ("kind", "changed", "problem"),
    [
        ("oauth2", {"token_url": None}, "an oauth2 credential needs it"),
        ("oauth2", {"client_secret": ""}, "an oauth2 credential needs it"),
        ("oauth2", {"scope": ""}, "an oauth2 credential needs it"),
        ("oauth2", {"scope": "a  b"}, "must be words with one space between them"),
        ("oauth2", {"scope": " a"}, "must be words with one space between them"),
        ("oauth2", {"scope": "a "}, "must be words with one space between them"),
        ("oauth2", {"scope": 'a"b'}, "must be words with one space between them"),
        ("oauth2", {"client_id": "a\n"}, "must have no control characters"),
        ("oauth2", {"token": "t"}, "is no part of an oauth2 credential"),
        ("mtls", {"private_key": None}, "an mtls credential needs it"),
        ("mtls", {"certificate": "\x00"}, "must be a text in PEM"),
        ("mtls", {"certificate": "a" * 65_537}, "has more than 65536 characters"),
        ("mtls", {"private_key": "a" * 16_385}, "has more than 16384 characters"),
    ]
    + [
        ("oauth2", {"token_url": url}, "must be a URL")
        for url in (
            "id.example/token",
            "ftp://id.example/token",
            "https://",
            "https:///token",
            "https://id.example/token#a",
            "https://id.example/to ken",
            "https://me:secret@id.example/token",
            "https://id.example:0/",
            "https://id.example:port/",
            "https://[::1",
        )
    ],
)
def test_what_cannot_be_fetched_with_or_made_of_is_refused(
    kind: str, changed: dict[str, str | None], problem: str
) -> None:
    values = (OAUTH2 if kind == "oauth2" else {"certificate": PEM, "private_key": PEM}) | changed
    with pytest.raises(ImpossibleCredential) as refused:
        a_credential(kind, **{key: value for key, value in values.items() if value is not None})
    ((key, what),) = refused.value.problems
    assert key in changed
    assert what.startswith(problem)
