"""The previous version, unpacked once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.upgrades.previous import unpack


@pytest.fixture(scope="session")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with ``src`` and ``tests`` of the previous version."""
    directory = tmp_path_factory.mktemp("previous")
    unpack(directory)
    return directory
