"""The previous version, as it was: its code and the tests of its storage, kept by ``scripts/previous_version.py``."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

PREVIOUS = "before-operating"
"""The tag of the previous version."""
COMMIT = "7bbf974"
"""What it names, for whoever has no tags."""
ARCHIVE = Path(__file__).with_name("before-operating.tar.xz")
ROOT = Path(__file__).parents[2]
LIMIT_S = 300

# The tests of then make their databases with the code of now.
_THEIRS = """    database = await open_database(url)
    try:
        await database.migrate()
    finally:
        await database.close()
"""
_OURS = """    import os
    import subprocess
    import sys

    command = [sys.executable, "-m", "kanca", "migrate", "--database-url", url]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": os.environ["PRESENT"]})
"""
_SETTINGS = """
[pytest]
addopts = --import-mode=importlib -p no:schemathesis -p no:cacheprovider
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
markers =
    torture: long
"""


def unpack(directory: Path) -> Path:
    """Put the previous version into a directory; gives where its code is."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(directory, filter="data")
    databases = directory / "tests" / "databases.py"
    text = databases.read_text()
    assert text.count(_THEIRS) == 1
    databases.write_text(text.replace(_THEIRS, _OURS))
    (directory / "pytest.ini").write_text(_SETTINGS)
    return directory / "src"


def run_its_tests(directory: Path, tests: Sequence[str]) -> str:
    """Run tests of the previous version against its code, on databases of the present one; gives what was printed.

    Raises AssertionError with the output when one of them fails.
    """
    search = os.pathsep.join([str(directory / "src"), str(directory)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", *tests],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": search, "PRESENT": str(ROOT / "src")},
        capture_output=True,
        check=False,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout
