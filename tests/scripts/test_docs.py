from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from kanca.settings import Settings
from scripts.docs import ROOT, pages, sample_file

PAGES = pages()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_generated_page_is_current(path: Path) -> None:
    assert path.is_file(), "run `make docs`"
    assert path.read_text() == PAGES[path], "run `make docs`"


def test_there_is_no_page_of_a_provider_that_is_gone() -> None:
    assert set((ROOT / "docs" / "providers").iterdir()) <= set(PAGES)


def test_uncommenting_a_line_of_the_sample_changes_nothing() -> None:
    lines = re.findall(r"^# (\w+ = .*)$", sample_file(Settings), re.MULTILINE)

    shown = tomllib.loads("\n".join(line for line in lines if not line.endswith('"..."')))

    defaults = Settings()
    assert len(lines) == len(Settings.model_fields)
    assert shown.keys() == {name for name, value in defaults if value is not None}
    assert Settings(**shown) == defaults
