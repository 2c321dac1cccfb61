from __future__ import annotations

from pathlib import Path

import pytest

from kanca.cli.options import given, read_assignments, read_file, read_json
from kanca.errors import InvalidInput


def test_assigned_values_are_json_or_else_text() -> None:
    assert read_assignments(["a=1", "b=off", 'c=["x"]', "d=", "e=x=y", "f=true"]) == {
        "a": 1,
        "b": "off",
        "c": ["x"],
        "d": "",
        "e": "x=y",
        "f": True,
    }


@pytest.mark.parametrize("assignment", ["a", "=1", ""])
def test_an_assignment_has_a_key(assignment: str) -> None:
    with pytest.raises(InvalidInput, match="KEY=VALUE"):
        read_assignments([assignment])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"absent\.json cannot be read: No such file"):
        read_file(str(tmp_path / "absent.json"))


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidInput, match=r"hook\.json is not JSON"):
        read_json(text, "hook.json")


def test_only_what_was_given_is_sent() -> None:
    assert given(a=None, b=[], c={}, d=0, e=False, f="") == {"d": 0, "e": False, "f": ""}
