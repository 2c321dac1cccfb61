"""Programs out of Debian's packages, for servers that no wheel has: unpacked into ``build``, nothing is installed.

Neither root nor the state of the machine's own package lists matters: what is missing is looked up in lists of our own.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

_HOME = Path(__file__).parents[2] / "build" / "debian"
_COMPLETE = ".complete"
_LIMIT_S = 300
_STATUS = Path("/var/lib/dpkg/status")


def unpacked(package: str) -> Path:
    """The folder with the package's files and those of all that it needs and this machine has not.

    Raises RuntimeError, with apt's own words, when they cannot be had.
    """
    _HOME.mkdir(parents=True, exist_ok=True)
    root = _HOME / package
    with (_HOME / f"{package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several sessions may start at once
        if not (root / _COMPLETE).exists():
            if not (shutil.which("apt-get") and shutil.which("dpkg") and _STATUS.exists()):
                raise RuntimeError(
                    f"{package} is not on this machine, and neither are apt and dpkg to fetch it with: install it"
                )
            shutil.rmtree(root, ignore_errors=True)
            _unpack(package, root)
            (root / _COMPLETE).touch()
    return root


def libraries(root: Path) -> list[Path]:
    """The folders of the libraries that were unpacked; none for what is installed."""
    return [] if root == Path("/") else [*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu")]


def _unpack(package: str, root: Path) -> None:
    downloads = _HOME / f"{package}.packages"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir()
    try:
        _download(package, downloads, [])
    except RuntimeError:  # lists that are missing, or older than what the servers have
        own = _own_lists()
        _apt(["update"], own, _HOME)
        _download(package, downloads, own)
    for archive in sorted(downloads.glob("*.deb")):
        _run(["dpkg", "-x", str(archive), str(root)], _HOME)
    shutil.rmtree(downloads)


def _download(package: str, downloads: Path, options: list[str]) -> None:
    simulated = _apt(["--simulate", "install", "--no-install-recommends", package], options, _HOME)
    names = [line.split()[1] for line in simulated.splitlines() if line.startswith("Inst ")]
    _apt(["download", *names], options, downloads)


def _own_lists() -> list[str]:
    folders = {"Dir::State": _HOME / "lists", "Dir::Cache": _HOME / "cache"}
    for folder in folders.values():
        (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (folder / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    settings = {**folders, "Dir::State::status": _STATUS}
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _apt(words: list[str], options: list[str], folder: Path) -> str:
    quietly = ["-q", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"]
    return _run(["apt-get", *quietly, *options, *words], folder)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=_LIMIT_S,
    )
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` failed:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
    return done.stdout
