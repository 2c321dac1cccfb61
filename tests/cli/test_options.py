from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from kanca.cli.options import given, has_options_of, read_assignments, read_file, read_json
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


def test_a_command_has_the_options_of_its_reader_before_its_own_and_gets_what_the_reader_made() -> None:
    def fitting(*, kind: str | None = None, code: str | None = None) -> dict[str, Any]:
        return given(kind=kind, error_code=code)

    got = []

    @has_options_of(fitting)
    def show(server: str, wanted: dict[str, Any], *, limit: int = 5) -> None:
        got.append((server, wanted, limit))

    show("here", kind="delivery", code=None, limit=7)

    assert got == [("here", {"kind": "delivery"}, 7)]
    assert [*inspect.signature(show).parameters] == ["server", "kind", "code", "limit"]
