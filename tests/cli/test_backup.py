from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Kanca


@pytest.fixture
def url(sqlite_url: str) -> str:
    """Of a migrated database, with a row of which there are no more later."""
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("CREATE TABLE seen (what TEXT)")
        connection.execute("INSERT INTO seen VALUES ('before')")
    return sqlite_url


def seen(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        return [what for (what,) in connection.execute("SELECT what FROM seen")]


def test_a_copy_is_what_was_committed_even_while_somebody_writes(
    kanca: Kanca, url: str, tmp_path: Path
) -> None:
    writer = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO seen VALUES ('not committed')")
    made = kanca("backup", "copy.db", KANCA_DATABASE_URL=url)
    writer.execute("COMMIT")
    writer.close()
    assert made.exit_code == 0, made.output
    assert "The key is not in it" in made.stderr
    assert seen(tmp_path / "copy.db") == ["before"]
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.db"]


def test_nothing_that_is_there_is_overwritten(kanca: Kanca, url: str, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("kept")
    refused = kanca("backup", "copy.db", KANCA_DATABASE_URL=url)
    assert (refused.exit_code, "is there already" in refused.stderr) == (2, True)
    assert (tmp_path / "copy.db").read_text() == "kept"
    nowhere = kanca("backup", "none/copy.db", KANCA_DATABASE_URL=url)
    assert (nowhere.exit_code, "cannot be written" in nowhere.stderr) == (2, True)


def test_the_key_comes_with_it_when_asked_for(kanca: Kanca, url: str, tmp_path: Path) -> None:
    key = tmp_path / "kanca.key"
    without = kanca("backup", "a.db", "--with-key", KANCA_DATABASE_URL=url)
    assert (without.exit_code, "no kanca.key" in without.stderr) == (2, True)
    key.write_text("the key of this database\n")
    assert kanca("backup", "b.db", "--with-key", "--json", KANCA_DATABASE_URL=url).exit_code == 0
    assert (tmp_path / "b.db.key").read_text() == key.read_text()
    assert stat.S_IMODE((tmp_path / "b.db.key").stat().st_mode) == 0o600
    set_elsewhere = {"KANCA_DATABASE_URL": url, "KANCA_SECRET_KEY": "a key of the environment"}
    assert kanca("backup", "c.db", "--with-key", **set_elsewhere).exit_code == 2


def test_what_is_no_file_or_not_there_is_said(kanca: Kanca, tmp_path: Path) -> None:
    server = kanca(
        "backup", "a.db", KANCA_DATABASE_URL="postgresql://kanca@/kanca", KANCA_SECRET_KEY="k" * 16
    )
    assert (server.exit_code, "pg_dump" in server.stderr) == (2, True)
    absent = kanca("backup", "a.db", KANCA_DATABASE_URL="sqlite:///absent.db")
    assert (absent.exit_code, "There is no database absent.db" in absent.stderr) == (6, True)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_a_damaged_file_is_none(kanca: Kanca, url: str, tmp_path: Path) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 65_536)
    refused = kanca("backup", "copy.db", KANCA_DATABASE_URL=url)
    assert refused.exit_code == 6, refused.output
    assert not (tmp_path / "copy.db").exists()
