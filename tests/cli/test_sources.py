from __future__ import annotations

from pathlib import Path

from kanca.cli.sources import Keeper, Source, read_sources


def test_secrets_are_read_from_the_environment_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("two\nlines\n")
    variable, file = Source(Keeper.ENV, "A"), Source(Keeper.FILE, str(tmp_path / "secret"))
    assert read_sources([variable, file, variable], {"A": "a"}) == ({variable: "a", file: "two\nlines"}, {})


def test_what_is_missing_or_empty_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    absent, unset, empty, binary = (
        Source(Keeper.FILE, str(tmp_path / "absent")),
        Source(Keeper.ENV, "A"),
        Source(Keeper.FILE, str(tmp_path / "empty")),
        Source(Keeper.FILE, str(tmp_path / "binary")),
    )
    found, missing = read_sources([absent, unset, empty, binary], {"A": ""})
    assert found == {}
    assert missing == {
        absent: f"the file {tmp_path / 'absent'} cannot be read: No such file or directory",
        unset: "the environment variable A is not set",
        empty: f"the file {tmp_path / 'empty'} is empty",
        binary: f"the file {tmp_path / 'binary'} is not UTF-8",
    }
