"""The part of a document that makes two arrivals the same event, where an endpoint says which (``dedupe_include``…).

The canonical form is JSON without spaces, keys sorted at every level, all but ASCII escaped. Numbers are as they are
read: ``1.50`` is ``1.5``, but ``1`` is not ``1.0``. Of keys that come twice in one object the last counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

Path = tuple[str, ...]
Tree = dict[str, Any]
"""The excluded paths by their first keys; True where one ends."""


class _Missing:
    pass


_MISSING: Final = _Missing()


class Fields(Struct, frozen=True):
    """Which fields count: only those of ``include``, or else all but those of ``exclude``."""

    include: tuple[Path, ...]
    exclude: Tree

    def canonical(self, document: object) -> bytes | None:
        """What counts of a document, in its canonical form; None when that is nothing, so that the whole body counts.

        That is so for a body that is no object or list, for one that has none of the fields of ``include``, and for one
        of which ``exclude`` leaves nothing: taking such bodies for one event would lose the second.
        """
        if not isinstance(document, dict | list):
            return None
        if not self.include:
            left = _without(document, self.exclude)
            return _written(left) if left else None
        found = [(path, value) for path in self.include if (value := _find(document, path)) is not _MISSING]
        return _written(found) if found else None


def fields_of(include: Iterable[str], exclude: Iterable[str]) -> Fields | None:
    """The fields that an endpoint's config names; None when it names none. The order of the paths does not matter."""
    paths = tuple(sorted({tuple(path.split(".")) for path in include}))
    tree: Tree = {}
    for path in exclude:
        _grow(tree, tuple(path.split(".")))
    return Fields(paths, tree) if paths or tree else None


def _grow(tree: Tree, path: Path) -> None:
    *parents, last = path
    for key in parents:
        below = tree.setdefault(key, {})
        if below is True:  # something above it is excluded already
            return
        tree = below
    tree[last] = True


def _find(document: Any, path: Path) -> Any:
    """What is at the path, which may be null; ``_MISSING`` where nothing is."""
    for key in path:
        if isinstance(document, dict):
            document = document.get(key, _MISSING)
        elif isinstance(document, list):
            index = _index(key)
            document = document[index] if index is not None and index < len(document) else _MISSING
        else:
            return _MISSING
    return document


def _without(document: Any, tree: Tree) -> Any:
    """A copy without what the tree excludes; what it does not reach is not copied."""
    if isinstance(document, dict):
        kept = {key: value for key, value in document.items() if tree.get(key) is not True}
        for key, below in tree.items():
            if below is not True and key in kept:
                kept[key] = _without(kept[key], below)
        return kept
    if isinstance(document, list):
        by_index = {index: below for key, below in tree.items() if (index := _index(key)) is not None}
        return [
            _without(item, below) if (below := by_index.get(index)) else item
            for index, item in enumerate(document)
            if by_index.get(index) is not True
        ]
    return document


def _index(key: str) -> int | None:
    return int(key) if key.isascii() and key.isdecimal() and len(key) <= 6 else None


def _written(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
