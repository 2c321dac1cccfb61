"""Tokens of resume addresses: nobody else can make one, and nothing in one can be changed."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.resume_token import (
    Decision,
    ResumeToken,
    make_token,
    read_token,
)
from kanca.domain.signed_token import ExpiredToken, InvalidToken
from kanca.domain.wait import WaitAddress

KEYS = [b"k" * 32, b"j" * 32]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
A_TOKEN = ResumeToken(WaitAddress(UUID(int=7), "review"), NOON + timedelta(days=1), Decision.APPROVE)

numbers = st.integers(0, 2**32 - 1)
addresses = st.builds(
    WaitAddress, st.uuids(), st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True), numbers, numbers
)
moments = st.timedeltas(timedelta(days=1), timedelta(days=300 * 365)).map(lambda later: NOON + later)
tokens = st.builds(ResumeToken, addresses, moments, st.sampled_from([None, *Decision]))


@given(tokens)
def test_a_token_is_read_as_it_was_made(token: ResumeToken) -> None:
    text = make_token(KEYS, token)
    assert read_token(KEYS, text, NOON) == token
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,200}", text)


@given(tokens, st.data())
def test_a_token_with_any_bit_changed_is_refused(token: ResumeToken, data: st.DataObject) -> None:
    text = make_token(KEYS, token)
    whole = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidToken):
        read_token(KEYS, urlsafe_b64encode(whole).rstrip(b"=").decode(), NOON)


@given(tokens, st.data())
def test_a_token_with_any_character_changed_is_refused(token: ResumeToken, data: st.DataObject) -> None:
    text = make_token(KEYS, token)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("ABCDxyz019-_=+/. \n%é").filter(lambda sign: sign != text[place]))
    with pytest.raises(InvalidToken):
        read_token(KEYS, text[:place] + other + text[place + 1 :], NOON)


@given(st.text(max_size=600))
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(InvalidToken):
        read_token(KEYS, text, NOON)


@pytest.mark.parametrize("change", ["", "A", "=", "==", "\n"])
def test_nothing_may_stand_behind_a_token(change: str) -> None:
    text = make_token(KEYS, A_TOKEN)
    if change:
        with pytest.raises(InvalidToken):
            read_token(KEYS, text + change, NOON)
    with pytest.raises(InvalidToken):
        read_token(KEYS, text[:-1], NOON)


def test_a_token_counts_until_its_time_is_over() -> None:
    text = make_token(KEYS, A_TOKEN)
    last = A_TOKEN.expires_at - timedelta(microseconds=1)
    assert read_token(KEYS, text, last) == A_TOKEN
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


def test_the_two_answers_to_one_wait_are_two_tokens_for_one_wait() -> None:
    other = A_TOKEN._replace(decision=Decision.REJECT)
    assert make_token(KEYS, other) != make_token(KEYS, A_TOKEN)
    assert other.address.wait_id == A_TOKEN.address.wait_id


def test_a_moment_of_another_zone_is_the_same_moment() -> None:
    elsewhere = A_TOKEN._replace(expires_at=A_TOKEN.expires_at.astimezone(timezone(timedelta(hours=3))))
    assert make_token(KEYS, elsewhere) == make_token(KEYS, A_TOKEN)


@pytest.mark.parametrize(
    "impossible",
    [
        A_TOKEN._replace(address=A_TOKEN.address._replace(node_id="")),
        A_TOKEN._replace(address=A_TOKEN.address._replace(node_id="n" * 65)),
        A_TOKEN._replace(address=A_TOKEN.address._replace(iteration=-1)),
        A_TOKEN._replace(address=A_TOKEN.address._replace(generation=2**32)),
        A_TOKEN._replace(decision="maybe"),
        A_TOKEN._replace(expires_at=datetime(2027, 1, 1)),  # noqa: DTZ001 - without a zone on purpose
    ],
)
def test_what_no_token_can_say_is_an_error(impossible: ResumeToken) -> None:
    with pytest.raises(ValueError, match="no token"):
        make_token(KEYS, impossible)
