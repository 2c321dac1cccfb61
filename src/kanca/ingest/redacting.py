"""Values that an endpoint's owner does not want to be stored (``redact_fields``): replaced before anything is.

What surrounds them stays byte for byte, but for blanks: numbers, other texts and the order of keys are as they came.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from kanca.bodies import Unreadable, read_json
from kanca.ingest.redaction import REDACTED
from kanca.ingest.refusal import Refusal

Tree = dict[str, Any]
"""The paths by their first keys; True where one ends."""

QUICKLY_REDACTED_BYTES = 16 * 1024
"""Larger bodies are looked through in a thread: one of a megabyte can take a second."""
MOST_LISTS = 8
"""Lists within lists that are looked through: each level is read anew."""

_CANNOT_REDACT = Refusal("cannot_redact")
_read_level = msgspec.json.Decoder(dict[str, Raw] | list[Raw]).decode
_write = msgspec.json.Encoder().encode
_HIDDEN = Raw(_write(REDACTED))


class Redaction(Struct, frozen=True):
    """Which fields are not stored."""

    tree: Tree
    names: frozenset[str]
    """All keys that the paths consist of."""

    def body(self, body: bytes) -> bytes | Refusal | None:
        """The body as it is stored; None when it has none of the fields, and stays as it is.

        A refusal for a body in which they cannot be found, because it is not JSON in UTF-8: it could have them.
        """
        if not body:
            return None
        try:
            if not isinstance(read_json(body), dict | list):
                return None
            hidden = _hidden(Raw(body), self.tree, MOST_LISTS, _has_key_twice(body, self.names))
        except (ValueError, RecursionError, msgspec.MsgspecError):  # Unreadable is a ValueError, too
            return _CANNOT_REDACT
        return None if hidden is None else bytes(hidden)


def redaction_of(paths: Iterable[str]) -> Redaction | None:
    """What an endpoint's config says; None when it names nothing."""
    split = sorted({tuple(path.split(".")) for path in paths}, key=len)
    tree: Tree = {}
    for path in split:
        _grow(tree, path)
    return Redaction(tree, frozenset(key for path in split for key in path)) if tree else None


def _grow(tree: Tree, path: tuple[str, ...]) -> None:
    """Add a path. The shorter ones come first, and hide what is below them."""
    *parents, last = path
    for key in parents:
        below = tree.setdefault(key, {})
        if below is True:
            return
        tree = below
    tree[last] = True


def _has_key_twice(body: bytes, names: frozenset[str]) -> bool:
    """Whether an object has one of these keys twice: who reads it sees the last only, but the others are there."""
    is_there = False

    def look(members: list[tuple[str, Any]]) -> None:
        nonlocal is_there
        keys = [key for key, _ in members if key in names]
        is_there = is_there or len(keys) != len(set(keys))

    # Numbers are not looked at, and may be larger than any that can be.
    json.loads(body.decode(), object_pairs_hook=look, parse_int=str, parse_float=str)
    return is_there


def _hidden(text: Raw, tree: Tree, lists_left: int, is_anew: bool) -> Raw | None:
    """An object or a list without what the tree names; None when there is nothing of it. Raises Unreadable.

    ``is_anew``: it is written anew all the same, and so without what only the last of its kind is read of.
    """
    level = _read_level(text)
    if isinstance(level, dict):
        changed = _hide_members(level, tree, lists_left, is_anew)
    elif lists_left:
        changed = _hide_items(level, tree, lists_left - 1, is_anew)
    else:
        raise Unreadable("nested_too_deeply", "The body has too many lists within lists.")
    return Raw(_write(level)) if changed or is_anew else None


def _hidden_in(value: Raw, tree: Tree, lists_left: int, is_anew: bool) -> Raw | None:
    """The same of any value, which begins with its first character."""
    is_container = bytes(memoryview(value)[:1]) in (b"{", b"[")
    return _hidden(value, tree, lists_left, is_anew) if is_container else None


def _hide_members(members: dict[str, Raw], tree: Tree, lists_left: int, is_anew: bool) -> bool:
    changed = False
    for key, below in tree.items():
        if key in members:
            new = _HIDDEN if below is True else _hidden_in(members[key], below, lists_left, is_anew)
            if new is not None:
                members[key], changed = new, True
    return changed


def _hide_items(items: list[Raw], tree: Tree, lists_left: int, is_anew: bool) -> bool:
    """A list stands for each of its items, or for one of them where the path has its number."""
    changed = False
    for index, item in enumerate(items):
        below = tree.get(str(index))
        new = _HIDDEN if below is True else _hidden_in(item, tree, lists_left, is_anew)
        if isinstance(below, dict):
            new = _hidden_in(item if new is None else new, below, lists_left, is_anew) or new
        if new is not None:
            items[index], changed = new, True
    return changed
