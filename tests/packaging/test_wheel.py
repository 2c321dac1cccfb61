"""What is published: built as for publishing, and run from where it was installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from kanca import __version__
from tests.packaging.deployment import ROOT

LIMIT_S = 120
READY = "Kanca is ready: "


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=LIMIT_S,
    )
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what Kanca needs besides comes from the tests' own."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False)
    [wheel] = built.glob("*.whl")
    uv = Path(sys.executable).with_name("uv")
    options = ["--quiet", "--offline", "--no-deps", "--python"]
    install = [str(uv), "pip", "install", *options, str(home), str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=LIMIT_S)
    paths = {"base": str(home), "platbase": str(home)}
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home


def environment(**more: str) -> dict[str, str]:
    left_out = ("KANCA_", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)} | more


def sources() -> set[str]:
    """All files of the package, as they are in the wheel."""
    return {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "kanca").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_every_file_of_the_package_and_no_other(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == sources()
    assert {
        "kanca/py.typed",
        "kanca/storage/migrations/env.py",
        "kanca/providers/catalogue/stripe.toml",
    } <= names
    assert f"kanca-{__version__}.dist-info/licenses/LICENSE" in zipfile.ZipFile(wheel).namelist()


def test_the_source_distribution_can_be_built_and_tested(built: Path) -> None:
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    assert {f"src/{name}" for name in sources()} <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "tests/conftest.py"} <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith((".db", ".key"))]


def test_the_command_comes_with_the_wheel(installed: Path, tmp_path: Path) -> None:
    kanca = installed / "bin" / "kanca"
    told = subprocess.run(
        [kanca, "--version"],
        cwd=tmp_path,
        env=environment(),
        check=True,
        capture_output=True,
        timeout=LIMIT_S,
    )
    assert told.stdout.decode() == f"kanca {__version__}\n"
    where = "import kanca; print(kanca.__file__)"
    found = subprocess.run(
        [installed / "bin" / "python", "-c", where],
        cwd=tmp_path,
        env=environment(),
        check=True,
        capture_output=True,
        timeout=LIMIT_S,
    )
    assert Path(found.stdout.decode().strip()).is_relative_to(installed)


def test_what_was_installed_migrates_serves_and_stops(installed: Path, tmp_path: Path) -> None:
    """As in the image: read-only but for a folder for data and one for what is passing."""
    data, passing = tmp_path / "data", tmp_path / "tmp"
    data.mkdir()
    passing.mkdir()
    (tmp_path / "key").write_text("a key in a file as a container has it\n")
    environ = environment(
        KANCA_DATABASE_URL=f"sqlite:///{data / 'kanca.db'}",
        KANCA_SECRET_KEY_FILE=str(tmp_path / "key"),
        KANCA_LOG_LEVEL="warning",
        PYTHONDONTWRITEBYTECODE="1",
        PYTHONUNBUFFERED="1",
        TMPDIR=str(passing),
    )
    before = {path for path in installed.rglob("*") if "__pycache__" not in path.parts}
    with subprocess.Popen(
        [installed / "bin" / "kanca", "serve", "--port", "0"],
        cwd=data,
        env=environ,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as served:
        try:
            assert served.stdout is not None
            line = next(line for raw in served.stdout if (line := raw.decode()).startswith(READY))
            probe = [str(installed / "bin" / "kanca"), "health", "--url", line.removeprefix(READY).strip()]
            asked = subprocess.run(probe, env=environ, check=False, capture_output=True, timeout=LIMIT_S)
            assert asked.returncode == 0, asked.stderr
            served.send_signal(signal.SIGTERM)
            assert served.wait(LIMIT_S) == 0
        finally:
            if served.poll() is None:
                os.killpg(served.pid, signal.SIGKILL)
    assert {path for path in installed.rglob("*") if "__pycache__" not in path.parts} == before
    assert {path.name for path in data.iterdir()} <= {"kanca.db", "kanca.db-wal", "kanca.db-shm"}
    assert list(passing.iterdir()) == []
