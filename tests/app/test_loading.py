"""Finding the app that ``--app`` names."""

from __future__ import annotations

from pathlib import Path

import pytest

from kanca import Kanca
from kanca.app.loading import load_app
from kanca.errors import InvalidSetting


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    return tmp_path


def test_without_a_name_there_is_an_empty_app() -> None:
    assert len(load_app(None).handlers) == 0


def test_an_app_is_found_in_the_working_directory(directory: Path) -> None:
    (directory / "found_app.py").write_text("from kanca import Kanca\nclass box:\n    hooks = Kanca()\n")
    assert isinstance(load_app("found_app:box.hooks"), Kanca)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_colon", "module:object"),
        ("absent_module:hooks", "no module 'absent_module'"),
        ("json:absent", "'json' has no 'absent'"),
        ("json:dumps", "no Kanca object"),
    ],
)
@pytest.mark.usefixtures("directory")
def test_a_name_that_leads_nowhere_is_refused(name: str, sentence: str) -> None:
    with pytest.raises(InvalidSetting, match=sentence):
        load_app(name)


def test_a_module_that_fails_by_itself_says_so_itself(directory: Path) -> None:
    (directory / "broken_app.py").write_text("import a_module_that_it_lacks\n")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_it_lacks"):
        load_app("broken_app:hooks")
