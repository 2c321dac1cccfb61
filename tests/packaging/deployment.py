"""The files that Kanca is deployed with, read, and what all of them have to keep to."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
import yaml

from kanca.app.supervisor import KILL_MARGIN
from kanca.cli.main import app
from kanca.settings import FROM_FILES, PREFIX, Settings, load_settings

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"
BASE = OPS / "kubernetes" / "base"
NAMES = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {
    f"{PREFIX}{name.upper()}_FILE" for name in FROM_FILES
}
"""Of all settings."""
FILES = [
    path
    for path in [ROOT / "Dockerfile", ROOT / "compose.yaml", *sorted(OPS.rglob("*"))]
    if path.is_file() and "secrets" not in path.parts
]


def documents(path: Path) -> list[Any]:
    """The YAML documents of a file, as others read them: with anchors and merged keys."""
    return [each for each in yaml.safe_load_all(path.read_text()) if each is not None]


def check_environment(environ: Mapping[str, Any]) -> Settings:
    """Fail unless all of these are settings, with values that they can have. Gives them."""
    ours = {name: str(value) for name, value in environ.items() if name.startswith(PREFIX)}
    assert ours.keys() <= NAMES, ours.keys() - NAMES
    return load_settings({name: value for name, value in ours.items() if not name.endswith("_FILE")})


def check_command(words: list[str]) -> None:
    """Fail unless ``kanca`` has that command, with those options."""
    group = typer.main.get_command(app)
    with group.make_context("kanca", list(words), resilient_parsing=False) as context:
        name, command, rest = group.resolve_command(context, words)  # type: ignore[attr-defined]  # it is a group
        command.make_context(name, rest, parent=context)


def check_patience(seconds: float, settings: Settings) -> None:
    """Fail unless a process that is asked to stop is given the time that it may take."""
    assert seconds > settings.shutdown_seconds + KILL_MARGIN.total_seconds()


def seconds_of(text: str) -> float:
    """``45s`` as a number."""
    found = re.fullmatch(r"(\d+)s", text)
    assert found, text
    return float(found[1])


def env_file(path: Path) -> dict[str, str]:
    """The variables of a file of ``NAME=value`` lines."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def docker_instructions() -> Iterator[tuple[str, str]]:
    """What the Dockerfile says, an instruction and its text each, lines that go on joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    for line in text.splitlines():
        if line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def docker_words(text: str) -> list[str]:
    """The words of ``["kanca", "serve"]``."""
    words: list[str] = json.loads(text)
    return words


def docker_environment() -> dict[str, str]:
    """What the image sets."""
    pairs = [pair for word, rest in docker_instructions() if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)
