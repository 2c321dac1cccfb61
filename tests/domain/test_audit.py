from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kanca.domain.audit import MAX_VALUE_LENGTH, Actor, ActorKind, Hidden, changes

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


def test_only_what_is_different_is_said_member_by_member() -> None:
    before = {"name": "a", "slug": "x", "config": {"size": 1, "dedupe": "off"}, "old": 1}
    after = {"name": "b", "slug": "x", "config": {"size": 2, "dedupe": "off"}, "new": [1]}

    assert changes(before, after) == (
        {"name": "a", "config": {"size": 1}, "old": 1},
        {"name": "b", "config": {"size": 2}, "new": [1]},
    )


def test_what_was_not_there_is_none_and_the_other_side_is_whole() -> None:
    assert changes(None, {"a": 1, "b": None}) == (None, {"a": 1, "b": None})
    assert changes({"a": 1}, None) == ({"a": 1}, None)
    assert changes(None, None) == (None, None)
    assert changes({"a": 1}, {"a": 1}) == (None, None)


def test_what_is_hidden_is_compared_and_not_said() -> None:
    before = {
        "secrets": [{"value": Hidden("whsec_old")}],
        "headers": {"X-Key": Hidden("one"), "X-Same": Hidden("s")},
    }
    after = {
        "secrets": [{"value": Hidden("whsec_new")}],
        "headers": {"X-Key": Hidden("two"), "X-Same": Hidden("s")},
    }
    was, is_now = changes(before, after)

    assert was == is_now == {"secrets": [{"value": "[redacted]"}], "headers": {"X-Key": "[redacted]"}}
    assert "whsec_" not in repr(before)
    assert changes(before, before) == (None, None)


def test_a_hidden_value_may_have_something_else_in_its_place() -> None:
    before = {"url": Hidden("https://a:1@b", "https://[redacted]@b")}
    after = {"url": Hidden("https://a:2@b", "https://[redacted]@b")}

    assert changes(before, after) == ({"url": "https://[redacted]@b"}, {"url": "https://[redacted]@b"})


def test_of_a_long_value_its_length_and_its_hash_are_kept() -> None:
    _, is_now = changes(None, {"schema": {"text": "x" * MAX_VALUE_LENGTH}, "other": ["x" * MAX_VALUE_LENGTH]})

    assert is_now is not None
    assert is_now["schema"]["text"].startswith("[4002 characters, SHA-256 ")
    assert is_now["other"].startswith("[4004 characters, SHA-256 ")


def test_moments_are_written_as_json_has_them() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    assert changes(None, {"at": [at]}) == (None, {"at": ["2026-03-01T00:00:00+00:00"]})


@given(FIELDS, FIELDS)
def test_the_differences_make_one_state_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    was, is_now = changes(before, after)

    assert json.loads(json.dumps([was, is_now])) == [was, is_now]
    assert (was is None and is_now is None) == (before == after)
    assert _applied(before, was or {}, is_now or {}) == after


def _applied(state: dict[str, Any], was: dict[str, Any], is_now: dict[str, Any]) -> dict[str, Any]:
    made = {key: value for key, value in state.items() if key not in was or key in is_now}
    for key, value in is_now.items():
        inner = isinstance(value, dict) and isinstance(was.get(key), dict)
        made[key] = _applied(state[key], was[key], value) if inner else value
    return made


def test_an_actor_is_one_line() -> None:
    assert str(Actor(ActorKind.TENANT, "acme")) == "tenant acme"
    assert str(Actor(ActorKind.ADMIN_KEY)) == "admin_key"
