from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Kanca


def test_a_new_database_is_made_and_migrating_again_changes_nothing(kanca: Kanca, tmp_path: Path) -> None:
    for _ in range(2):
        called = kanca("migrate", "--database-url", "sqlite:///mine.db")
        assert (called.exit_code, called.stdout) == (0, "The schema of sqlite:///mine.db is current.\n"), (
            called.output
        )
        assert called.stderr == ""
    assert (tmp_path / "mine.db").exists()


@pytest.fixture
def _from_the_environment(monkeypatch: pytest.MonkeyPatch, empty_database_url: str) -> None:
    monkeypatch.setenv("KANCA_DATABASE_URL", empty_database_url)


@pytest.mark.usefixtures("_from_the_environment")
def test_the_settings_say_which_database(kanca: Kanca) -> None:
    called = kanca("migrate")

    assert called.exit_code == 0, called.output
