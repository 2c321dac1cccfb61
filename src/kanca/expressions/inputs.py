"""The values an expression runs on: only the parts it refers to, checked and weighed.

``event.data.total > 100`` needs one number of an event that may be 1 MiB long, and the library would convert all of
it (about 1 µs a text, 80 ms for such an event). So the fixed paths of an expression are known (``Needs``), and only
what lies on them is passed on. A path that ends in a value passes the whole value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kanca.errors import ExpressionFailed
from kanca.expressions.tree import Comprehension, Index, Literal, Name, Node, Select, children
from kanca.expressions.weights import (
    BYTES_PER_NS,
    CONVERT_CONTAINER_NS,
    CONVERT_ENTRY_NS,
    CONVERT_SCALAR_NS,
    CONVERT_TEXT_NS,
    ENTRY_NS,
    LIST_NS,
    MAP_NS,
    SCALAR_NS,
    TEXT_NS,
    Budget,
    Weights,
    size_bytes,
)

MAX_INPUT_DEPTH = 64
"""Deepest nesting of the values passed on: the library converts them recursively."""


@dataclass(slots=True)
class Needs:
    """What an expression needs of a value: all of it, or only some keys of it."""

    whole: bool = False
    keys: dict[str, Needs] = field(default_factory=dict)

    def at(self, path: tuple[str, ...]) -> Needs:
        """The needs of the value at ``path``, created when there are none yet."""
        needs = self
        for key in path:
            needs = needs.keys.setdefault(key, Needs())
        return needs


def needs_of(tree: Node, names: frozenset[str]) -> dict[str, Needs]:
    """What ``tree`` needs of each of the variables ``names``."""
    root = Needs()
    _collect(tree, root, frozenset())
    return {name: needs for name, needs in root.keys.items() if name in names}


def _collect(node: Node, root: Needs, local_names: frozenset[str]) -> None:
    path = _path_of(node)
    if path is not None:
        if path[0] not in local_names:
            needs = root.at(path)
            needs.whole |= not (isinstance(node, Select) and node.is_test)
        return
    if isinstance(node, Comprehension):
        _collect(node.over, root, local_names)
        for part in node.body:
            _collect(part, root, local_names | {node.variable})
        return
    for child in children(node):
        _collect(child, root, local_names)


def _path_of(node: Node) -> tuple[str, ...] | None:
    """The fixed path that ``node`` stands for, ``("event", "data", "total")``, or None when it is none."""
    fields: list[str] = []
    while not isinstance(node, Name):
        if isinstance(node, Select):
            fields.append(node.field)
            node = node.operand
        elif isinstance(node, Index) and isinstance(node.index, Literal) and node.index.is_string:
            fields.append(str(node.index.value))
            node = node.operand
        else:
            return None
    return (node.name, *reversed(fields))


class _Unfit(Exception):
    """A value that expressions cannot hold; gathers the path to it on its way out, and becomes ExpressionFailed."""

    def __init__(self, what: str, reason: str = "bad_value") -> None:
        self.what = what
        self.reason = reason
        self.path: list[str] = []


def take_inputs(
    needs: Mapping[str, Needs], variables: Mapping[str, object], budget: Budget
) -> tuple[dict[str, object], Weights]:
    """The part of ``variables`` that is needed, and the weights of what is in it.

    ``budget`` is charged for converting it. Raises ExpressionFailed for a variable that is not there and for a value
    that expressions cannot hold, naming its path; TooExpensive when there is too much of it.
    """
    taker = _Taker(budget)
    values: dict[str, object] = {}
    for name, need in needs.items():
        if name not in variables:
            raise ExpressionFailed(f"{name!r} has no value here", reason="missing_variable", path=name)
        try:
            values[name] = taker.part(need, variables[name])
        except _Unfit as unfit:
            path = _shown([name, *reversed(unfit.path)])
            raise ExpressionFailed(f"{path} {unfit.what}", reason=unfit.reason, path=path) from None
    return values, taker.weights


def _shown(path: list[str]) -> str:
    shown = ".".join(key[:40] for key in path[:8]) + (".…" if len(path) > 8 else "")
    return shown.encode(errors="replace").decode()


class _Taker:
    def __init__(self, budget: Budget) -> None:
        self.weights = Weights()
        self._budget = budget

    def part(self, needs: Needs, value: object) -> object:
        """What is needed of ``value``."""
        if needs.whole or not isinstance(value, dict | list | tuple):
            self._weigh(value, 1)
            return value
        if not isinstance(value, dict):
            value = []  # of a list, only that it is one matters: selecting a key from it is an error
            self.weights.note(value, LIST_NS)
            return value
        return self._part_of_map(needs, value)

    def _part_of_map(self, needs: Needs, value: dict[object, object]) -> dict[str, object]:
        taken: dict[str, object] = {}
        weight = MAP_NS
        for key, need in needs.keys.items():
            if key in value:
                try:
                    taken[key] = self.part(need, value[key])
                except _Unfit as unfit:
                    unfit.path.append(key)
                    raise
                weight += ENTRY_NS + size_bytes(key) // BYTES_PER_NS + self.weights.of(taken[key])
        self._budget.charge(CONVERT_CONTAINER_NS + CONVERT_ENTRY_NS * len(taken))
        self.weights.note(taken, weight)
        return taken

    def _weigh(self, value: object, depth: int) -> int:
        """Check and charge ``value`` and return its weight."""
        if isinstance(value, str):
            return self._weigh_text(value)
        if isinstance(value, dict):
            return self._weigh_map(value, depth)
        if isinstance(value, list | tuple):
            return self._weigh_list(value, depth)
        return self._weigh_scalar(value)

    def _weigh_scalar(self, value: object) -> int:
        if value is None or isinstance(value, bool | float):
            return SCALAR_NS
        if isinstance(value, int):
            if not -(2**63) <= value < 2**64:
                raise _Unfit("is a whole number of more than 64 bits")
            return SCALAR_NS
        if isinstance(value, bytes):
            self._budget.charge(CONVERT_TEXT_NS + len(value))
            return TEXT_NS + len(value) // BYTES_PER_NS
        if isinstance(value, timedelta) or (isinstance(value, datetime) and value.tzinfo is not None):
            self._budget.charge(CONVERT_TEXT_NS)
            return SCALAR_NS
        raise _Unfit(f"is of type {type(value).__name__}, which expressions do not know")

    def _weigh_text(self, value: str) -> int:
        self._budget.charge(CONVERT_TEXT_NS + len(value))
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise _Unfit("has half of a character (a lone surrogate)") from None
        return TEXT_NS + size_bytes(value) // BYTES_PER_NS

    def _weigh_list(self, value: list[object] | tuple[object, ...], depth: int) -> int:
        self._enter(depth, CONVERT_SCALAR_NS * len(value))
        weight = LIST_NS
        for position, item in enumerate(value):
            try:
                weight += self._weigh(item, depth + 1)
            except _Unfit as unfit:
                unfit.path.append(str(position))
                raise
        self.weights.note(value, weight)
        return weight

    def _weigh_map(self, value: dict[object, object], depth: int) -> int:
        self._enter(depth, CONVERT_ENTRY_NS * len(value))
        weight = MAP_NS
        for key, member in value.items():
            try:
                if not isinstance(key, str):
                    raise _Unfit("is the key of a map, and no text")
                weight += ENTRY_NS + self._weigh_text(key) + self._weigh(member, depth + 1)
            except _Unfit as unfit:
                unfit.path.append(str(key))
                raise
        self.weights.note(value, weight)
        return weight

    def _enter(self, depth: int, members_ns: int) -> None:
        if depth > MAX_INPUT_DEPTH:
            raise _Unfit(f"is nested more than {MAX_INPUT_DEPTH} deep", "too_deep")
        # Members are charged by their number before they are looked at: a huge list is refused at once.
        self._budget.charge(CONVERT_CONTAINER_NS + members_ns)
