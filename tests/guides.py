"""The Python examples of a guide, as modules.

A block that begins with ``# path.py`` is that file; the blocks after it go on with it.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

GUIDES = Path(__file__).parents[1] / "docs" / "guides"


def files_of(guide: str) -> dict[str, str]:
    """The files that a guide shows, by path."""
    files: dict[str, str] = {}
    path = ""
    for block in re.findall(r"```python\n(.*?)```", (GUIDES / guide).read_text(), re.DOTALL):
        if found := re.match(r"# (\S+\.py)\n", block):
            path = found[1]
        files[path] = files.get(path, "") + block
    return files


@contextmanager
def modules_of(guide: str, directory: Path) -> Iterator[dict[str, ModuleType]]:
    """The files of a guide, written below ``directory`` and imported, by path; nothing of them is left behind."""
    files = files_of(guide)
    roots = {path.removesuffix(".py").partition("/")[0] for path in files}
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in roots}
    for path, text in files.items():
        (directory / path).parent.mkdir(exist_ok=True)
        # A package proper: one without this file would give way to any other of its name on the path.
        (directory / path).with_name("__init__.py").touch()
        (directory / path).write_text(text)
    for name in kept:
        del sys.modules[name]
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        names = {path: path.removesuffix(".py").replace("/", ".") for path in files}
        yield {path: importlib.import_module(name) for path, name in names.items()}
    finally:
        sys.path.remove(str(directory))
        for name in [name for name in sys.modules if name.partition(".")[0] in roots]:
            del sys.modules[name]
        sys.modules.update(kept)
