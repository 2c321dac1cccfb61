from __future__ import annotations

from pathlib import Path

import pytest

from kanca.cli.listen_state import Listening, State, state_directory
from kanca.errors import InvalidInput

LISTENING = Listening("http://127.0.0.1:8000", "shop", "http://localhost:3000/hook")


def test_a_place_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / LISTENING.name
    assert State(path, LISTENING).read() is None
    State(path, LISTENING).write("7")
    State(path, LISTENING).write("8")
    assert State(path, LISTENING).read() == "8"
    assert [each.name for each in path.parent.iterdir()] == [LISTENING.name]


def test_each_server_endpoint_and_address_has_a_place_of_its_own() -> None:
    others = [
        Listening("http://127.0.0.1:8001", "shop", "http://localhost:3000/hook"),
        Listening("http://127.0.0.1:8000", None, "http://localhost:3000/hook"),
        Listening("http://127.0.0.1:8000", "shop", "http://localhost:3000/"),
    ]
    assert len({each.name for each in [LISTENING, *others]}) == 4
    assert Listening("http://127.0.0.1:8000/", "shop", LISTENING.forward).name == LISTENING.name


def test_a_file_of_another_is_not_used(tmp_path: Path) -> None:
    State(tmp_path / "state", LISTENING).write("7")
    with pytest.raises(InvalidInput, match="another"):
        State(tmp_path / "state", Listening("http://elsewhere", None, LISTENING.forward)).read()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"place": 1, "listening": {"x": 1}}'])
def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "state").write_text(text)
    with pytest.raises(InvalidInput, match="cannot be read"):
        State(tmp_path / "state", LISTENING).read()


def test_a_place_that_cannot_be_kept_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be written"):
        State(tmp_path / "file" / "state", LISTENING).write("7")


def test_it_lies_where_state_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory({}) == tmp_path / ".local" / "state" / "kanca" / "listen"
    assert state_directory({"XDG_STATE_HOME": "/var/x"}) == Path("/var/x/kanca/listen")
    assert state_directory({"XDG_STATE_HOME": "relative"}) == state_directory({})
