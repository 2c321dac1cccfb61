"""Tokens of tenants: nobody else can make one, and nothing in one can be changed."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain import resume_token
from kanca.domain.portal_token import PREFIX, PortalToken, make_token, read_token
from kanca.domain.resume_token import ResumeToken
from kanca.domain.signed_token import ExpiredToken, InvalidToken, signed
from kanca.domain.wait import WaitAddress

KEYS = [b"k" * 32, b"j" * 32]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
A_TOKEN = PortalToken("acme", NOON + timedelta(hours=1))

tokens = st.builds(
    PortalToken,
    st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    st.timedeltas(timedelta(seconds=1), timedelta(days=1)).map(lambda later: NOON + later),
    st.booleans(),
)


@given(tokens)
def test_a_token_is_read_as_it_was_made(token: PortalToken) -> None:
    text = make_token(KEYS, token)
    assert read_token(KEYS, text, NOON) == token
    assert re.fullmatch(r"kpt_[A-Za-z0-9_-]{1,200}", text)


@given(tokens, st.data())
def test_a_token_with_any_bit_changed_is_refused(token: PortalToken, data: st.DataObject) -> None:
    text = make_token(KEYS, token).removeprefix(PREFIX)
    whole = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidToken):
        read_token(KEYS, PREFIX + urlsafe_b64encode(whole).rstrip(b"=").decode(), NOON)


@given(tokens, st.data())
def test_a_token_with_any_character_changed_is_refused(token: PortalToken, data: st.DataObject) -> None:
    text = make_token(KEYS, token)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCDxyz019-_=+/. \n%é").filter(lambda sign: sign != text[place]))
    with pytest.raises(InvalidToken):
        read_token(KEYS, text[:place] + other + text[place + 1 :], NOON)


@given(st.text(max_size=600))
def test_what_is_no_token_is_refused(text: str) -> None:
    for tried in (text, PREFIX + text):
        with pytest.raises(InvalidToken):
            read_token(KEYS, tried, NOON)


def test_a_token_counts_until_its_time_is_over() -> None:
    text = make_token(KEYS, A_TOKEN)
    assert read_token(KEYS, text, A_TOKEN.expires_at - timedelta(microseconds=1)) == A_TOKEN
    with pytest.raises(ExpiredToken):
        read_token(KEYS, text, A_TOKEN.expires_at)
    with pytest.raises(InvalidToken):
        read_token([b"z" * 32], text, A_TOKEN.expires_at)


def test_a_token_is_made_with_the_newest_key_and_read_with_any() -> None:
    text = make_token(KEYS, A_TOKEN)
    assert read_token([b"n" * 32, *KEYS], text, NOON) == A_TOKEN
    for keys in ([], KEYS[1:]):
        with pytest.raises(InvalidToken):
            read_token(keys, text, NOON)


def test_a_token_for_something_else_is_none_whatever_the_keys() -> None:
    resumes = ResumeToken(WaitAddress(UUID(int=7), "review"), NOON + timedelta(days=1))
    with pytest.raises(InvalidToken):
        read_token(KEYS, PREFIX + resume_token.make_token(KEYS, resumes), NOON)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x01", b"\x02" + bytes(9) + b"acme", b"\x01" + b"\x7f" * 9 + b"acme", b"\x01" + bytes(9)],
)
def test_what_another_version_may_have_signed_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidToken):
        read_token(KEYS, PREFIX + signed(KEYS, content), NOON)


@pytest.mark.parametrize(
    "impossible",
    [
        A_TOKEN._replace(tenant=""),
        A_TOKEN._replace(tenant="a" * 65),
        A_TOKEN._replace(tenant="é"),
        A_TOKEN._replace(expires_at=datetime(2027, 1, 1)),  # noqa: DTZ001 - without a zone on purpose
    ],
)
def test_what_no_token_can_say_is_an_error(impossible: PortalToken) -> None:
    with pytest.raises(ValueError, match="no token"):
        make_token(KEYS, impossible)
