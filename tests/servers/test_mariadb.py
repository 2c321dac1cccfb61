from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.servers import debian
from tests.servers.mariadb import MariadbServer


def test_it_is_a_mariadb_that_locks_rows_and_passes_over_locked_ones(mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    with mariadb.connect(name) as first, mariadb.connect(name) as second:
        with first.cursor() as cursor:
            cursor.execute("CREATE TABLE t (n INT PRIMARY KEY) ENGINE=InnoDB")
            cursor.execute("INSERT INTO t VALUES (1), (2)")
            first.commit()
            cursor.execute("SELECT n FROM t WHERE n = 1 FOR UPDATE")
        with second.cursor() as cursor:
            cursor.execute("SELECT n FROM t ORDER BY n FOR UPDATE SKIP LOCKED")
            assert cursor.fetchall() == ((2,),)
    mariadb.drop_database(name)


def test_a_package_that_cannot_be_had_is_an_error_with_apts_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 100, "", "E: Unable to locate package no-such-flower")

    monkeypatch.setattr(debian, "_HOME", tmp_path)
    monkeypatch.setattr(subprocess, "run", refuse)

    with pytest.raises(RuntimeError, match="Unable to locate package no-such-flower"):
        debian.unpacked("no-such-flower")
