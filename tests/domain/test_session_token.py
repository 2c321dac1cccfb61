from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from kanca.domain.session_token import (
    IDLE,
    LASTS,
    MAX_CLOCK_SKEW,
    Session,
    admin_keys,
    csrf_token,
    is_csrf_token,
    make_session,
    read_session,
)
from kanca.domain.signed_token import ExpiredToken, InvalidToken, signed

KEYS = [b"n" * 32, b"o" * 32]
NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
SESSION = Session(UUID(int=7), uuid4(), NOW, NOW)


def test_a_token_says_what_it_was_made_of_whichever_key_made_it() -> None:
    for session in (SESSION, SESSION._replace(key_id=None)):
        assert read_session(KEYS, make_session(KEYS, session), NOW) == session
        assert read_session(KEYS, make_session(KEYS[1:], session), NOW) == session


@pytest.mark.parametrize("position", range(0, 108, 7))
def test_a_token_that_was_changed_is_none(position: int) -> None:
    text = make_session(KEYS, SESSION)
    changed = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]

    with pytest.raises(InvalidToken):
        read_session(KEYS, changed, NOW)


@pytest.mark.parametrize("content", [b"", b"\x01" + bytes(47), b"\x02" + bytes(48)])
def test_what_is_signed_but_no_session_is_none(content: bytes) -> None:
    with pytest.raises(InvalidToken):
        read_session(KEYS, signed(KEYS, content), NOW)


def test_a_session_ends_when_it_is_idle_and_at_the_latest_after_its_time() -> None:
    text = make_session(KEYS, SESSION)
    read_session(KEYS, text, NOW + IDLE - timedelta(microseconds=1))
    with pytest.raises(ExpiredToken):
        read_session(KEYS, text, NOW + IDLE)

    busy = make_session(KEYS, SESSION._replace(seen_at=NOW + LASTS - timedelta(minutes=1)))
    read_session(KEYS, busy, NOW + LASTS - timedelta(microseconds=1))
    with pytest.raises(ExpiredToken):
        read_session(KEYS, busy, NOW + LASTS)


def test_a_session_out_of_the_future_is_none() -> None:
    ahead = make_session(KEYS, SESSION._replace(seen_at=NOW + MAX_CLOCK_SKEW * 2))

    with pytest.raises(InvalidToken):
        read_session(KEYS, ahead, NOW)


def test_another_admin_key_ends_the_sessions_of_the_one_before() -> None:
    text = make_session(admin_keys(KEYS, "the first"), SESSION)

    assert read_session(admin_keys(KEYS, "the first"), text, NOW) == SESSION
    for keys in (admin_keys(KEYS, "the second"), KEYS, ()):
        with pytest.raises(InvalidToken):
            read_session(keys, text, NOW)


def test_each_session_has_a_token_of_its_own_against_foreign_pages() -> None:
    token = csrf_token(KEYS, SESSION)

    assert is_csrf_token(KEYS, SESSION, token)
    assert is_csrf_token([b"x" * 32, *KEYS], SESSION, token)
    assert not is_csrf_token(KEYS, SESSION._replace(id=uuid4()), token)
    assert not is_csrf_token(KEYS, SESSION, "")
    assert not is_csrf_token(KEYS, SESSION, "é")
