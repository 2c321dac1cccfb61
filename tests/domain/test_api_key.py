from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kanca.domain.api_key import ApiKey, Role, digest_of, hint_of, new_key
from kanca.domain.ids import IdFactory

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_a_key_is_known_by_its_beginning_and_hard_to_guess() -> None:
    keys = {new_key() for _ in range(100)}

    assert len(keys) == 100
    assert {len(key) for key in keys} == {len("kanca_") + 43}
    for key in keys:
        assert key.startswith(hint_of(key).removesuffix("…"))
        assert len(hint_of(key)) < 14
        assert key.encode() not in digest_of(key)


def test_a_key_ends_at_the_moment_it_says() -> None:
    key = ApiKey(IdFactory().new(), "k", "kanca_…", Role.VIEWER, None, NOW, "local", expires_at=NOW)

    assert key.is_expired(NOW)
    assert not key.is_expired(NOW - timedelta(microseconds=1))
