"""Keep the previous version beside the tests: what it is made of and how it tests its storage, out of git, compressed.

    python -m scripts.previous_version

Run it when a release has been made, after changing ``PREVIOUS`` in ``tests/upgrades/previous.py``. The tests use the
archive alone, so that they run without the repository's history too.
"""

from __future__ import annotations

import io
import lzma
import subprocess
import tarfile

from tests.upgrades.previous import ARCHIVE, COMMIT, PREVIOUS

_FOLDERS = {"contract", "servers"}
_BORROWED = {"tests/api/rows.py", "tests/outbound/samples.py", "tests/workers/site.py"}
"""What the tests of the storage import besides."""


def main() -> None:
    """Write the archive. Raises SystemExit when the tag is not the commit that it was."""
    commit = _git("rev-parse", f"{PREVIOUS}^{{commit}}").decode().strip()
    if not commit.startswith(COMMIT):
        raise SystemExit(f"{PREVIOUS} is {commit}, not {COMMIT}")
    plain = _without_the_rest(_git("archive", "--format=tar", commit, "--", "src", "tests"))
    ARCHIVE.write_bytes(lzma.compress(plain, preset=9 | lzma.PRESET_EXTREME))
    print(f"{ARCHIVE.name}: {ARCHIVE.stat().st_size // 1024} KB")


def _without_the_rest(archive: bytes) -> bytes:
    kept = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as source, tarfile.open(fileobj=kept, mode="w") as target:
        for member in source:
            if member.isfile() and _is_wanted(member.name):
                target.addfile(member, source.extractfile(member))
    return kept.getvalue()


def _is_wanted(name: str) -> bool:
    top, *inner = name.split("/")
    return top == "src" or len(inner) == 1 or inner[0] in _FOLDERS or name in _BORROWED


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], check=True, capture_output=True).stdout  # noqa: S607


if __name__ == "__main__":
    main()
