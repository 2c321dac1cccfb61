"""How long an evaluation can take, estimated before it runs: an upper bound, not a guess.

The estimate walks the tree with the actual inputs and charges a budget for what the library would do. Of every
sub-expression it knows what the value can be at most: either exactly (``Known``: the input values that a path, or a
loop over an input, can meet) or by weight and length (``Computed``: what operators, literals and loops produce).
Loops multiply what happens inside them, and ``map`` and ``filter`` cost the square of their length, because the
library copies the list built so far at every step. The walk stops when the budget is used up, so its own time is
bounded by the budget too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from kanca.expressions.patterns import SEARCH_NS_PER_ATOM_AND_BYTE, pattern_cost
from kanca.expressions.tree import (
    Call,
    Comprehension,
    Conditional,
    Index,
    ListOf,
    Literal,
    MapOf,
    Name,
    Node,
    Operation,
    Select,
    walk,
)
from kanca.expressions.weights import (
    BYTES_PER_NS,
    ENTRY_NS,
    LIST_NS,
    MAP_NS,
    SCALAR_NS,
    TEXT_NS,
    Budget,
    Weights,
)

_NODE_NS = 150
_CALL_NS = 400
_STEP_NS = 500
_HAND_BACK_FACTOR = 12
_VISIT_NS = 3_000  # this estimate's own time for a node,
_LOOK_NS = 350  # and for an input value that it looks at

_SCAN_NS_PER_BYTE = dict.fromkeys(
    ("bytes", "contains", "double", "int", "string", "timestamp", "uint"), 4
) | {"duration": 40}


@dataclass(slots=True)
class Known:
    """Values of the inputs, one of which it is, and the weight of the heaviest."""

    values: Sequence[object]
    weight: int


@dataclass(slots=True)
class Computed:
    """A value that is at most so heavy, and as a list or map at most so long; ``item`` says what can be in it."""

    weight: int
    length: int = 0
    item: Callable[[], Reach] | None = None


Reach = Known | Computed
_SCALAR = Computed(SCALAR_NS)
_TEXT = Computed(TEXT_NS + 400 // BYTES_PER_NS)  # a number or time written out; a double has up to 330 digits


def bound_per_weight(tree: Node) -> tuple[int, int] | None:
    """``(a, b)`` such that an evaluation over inputs of weight ``w`` costs at most ``a + b * w``, if easy to say.

    It is for filters and keys, which compare parts of their inputs: nothing in them is larger than its inputs and the
    literals together. Their estimate would take longer than they do.
    """
    nodes = list(walk(tree))
    if any(_may_grow(node) for node in nodes):
        return None
    literals = (node.value for node in nodes if isinstance(node, Literal))
    literal_weight = sum(Weights().of(value) for value in literals)
    scanning = sum(_SCAN_NS_PER_BYTE.get(node.function, 0) for node in nodes if isinstance(node, Call))
    per_weight = 4 * len(nodes) + scanning * BYTES_PER_NS + _HAND_BACK_FACTOR
    return len(nodes) * (_NODE_NS * 2 + _CALL_NS + 2 * _TEXT.weight) + per_weight * literal_weight, per_weight


def _may_grow(node: Node) -> bool:
    """True for what can be larger, or take longer, than its parts."""
    if isinstance(node, Call):
        return node.function in ("matches", "string", "bytes", "type")
    return isinstance(node, Comprehension | ListOf | MapOf) or (
        isinstance(node, Operation) and node.operator == "+"
    )


class Estimate:
    """Charges ``budget`` for the evaluation of trees over some inputs."""

    def __init__(self, values: dict[str, object], weights: Weights, budget: Budget) -> None:
        self._weights = weights
        self._budget = budget
        self._scope: dict[str, Reach] = {name: self._known((value,)) for name, value in values.items()}
        self._parts: dict[type, Callable[[Any, int], Reach]] = {
            Name: self._name,
            Select: self._select,
            Literal: self._literal,
            Operation: self._operation,
            Index: self._index,
            Call: self._call,
            Conditional: self._conditional,
            ListOf: self._list,
            MapOf: self._map,
            Comprehension: self._comprehension,
        }

    def charge(self, tree: Node) -> None:
        """Charge for evaluating ``tree`` and handing back its result. Raises TooExpensive."""
        result = self._reach(tree, 1)
        self._budget.charge(_HAND_BACK_FACTOR * result.weight)

    def _reach(self, node: Node, times: int) -> Reach:
        """Charge for evaluating ``node`` ``times`` times, and say what its value can be."""
        self._budget.charge(_VISIT_NS + times * _NODE_NS)
        return self._parts[type(node)](node, times)

    # --- Parts of the language -------------------------------------------------------------------------------------

    def _name(self, node: Name, _times: int) -> Reach:
        return self._scope.get(
            node.name, _TEXT
        )  # a type name, or when saved a variable of which nothing is known

    def _literal(self, node: Literal, times: int) -> Reach:
        return self._copied(self._known((node.value,)), times)

    def _conditional(self, node: Conditional, times: int) -> Reach:
        self._reach(node.condition, times)
        return self._either((self._reach(node.then, times), self._reach(node.otherwise, times)))

    def _select(self, node: Select, times: int) -> Reach:
        operand = self._reach(node.operand, times)
        if node.is_test:
            return _SCALAR
        return self._copied(self._member(operand, node.field), times)

    def _index(self, node: Index, times: int) -> Reach:
        operand = self._reach(node.operand, times)
        self._reach(node.index, times)
        if isinstance(node.index, Literal):
            return self._copied(self._member(operand, node.index.value), times)
        return self._copied(self._item(operand), times)

    def _operation(self, node: Operation, times: int) -> Reach:
        operands = [self._reach(operand, times) for operand in node.operands]
        weights = [operand.weight for operand in operands]
        # Twice: comparing visits both sides, and an operator that does not fit copies them into its error.
        self._budget.charge(times * (_NODE_NS * len(weights) + 2 * sum(weights)))
        if node.operator != "+":
            return _SCALAR
        lengths = [self._length(operand) for operand in operands]
        item = lambda: self._either(map(self._item, operands))  # noqa: E731 — seldom asked for
        return self._copied(Computed(sum(weights), sum(lengths), item), times)

    def _call(self, node: Call, times: int) -> Reach:
        arguments = [self._reach(argument, times) for argument in node.arguments]
        target = arguments[0] if node.target is None else self._reach(node.target, times)
        weight = target.weight
        cost_ns = _CALL_NS + 2 * weight + sum(2 * argument.weight for argument in arguments)
        bytes_at_most = max(0, weight - TEXT_NS) * BYTES_PER_NS + BYTES_PER_NS
        cost_ns += _SCAN_NS_PER_BYTE.get(node.function, 0) * bytes_at_most
        if node.function == "matches" and isinstance(node.arguments[0], Literal):
            pattern = pattern_cost(str(node.arguments[0].value))
            cost_ns += pattern.compile_ns + SEARCH_NS_PER_ATOM_AND_BYTE * pattern.atoms * bytes_at_most
        self._budget.charge(times * cost_ns)
        if node.function == "dyn":
            return target
        if node.function in ("string", "bytes"):  # of bytes, each may become a replacement character of three
            return Computed(_TEXT.weight + 3 * weight)
        return _TEXT if node.function == "type" else _SCALAR

    def _list(self, node: ListOf, times: int) -> Reach:
        items = [self._reach(item, times) for item in node.items]
        weight = LIST_NS + sum(item.weight for item in items)
        return self._copied(Computed(weight, len(items), lambda: self._either(items)), times)

    def _map(self, node: MapOf, times: int) -> Reach:
        items = [self._reach(item, times) for item in node.items]
        entries = len(items) // 2
        weight = MAP_NS + ENTRY_NS * entries + sum(item.weight for item in items)
        return self._copied(Computed(weight, entries, lambda: self._either(items)), times)

    def _comprehension(self, node: Comprehension, times: int) -> Reach:
        over = self._reach(node.over, times)
        length = self._length(over)
        item = self._item(over, of_keys=True)
        steps = times * length
        self._budget.charge(steps * (_STEP_NS + item.weight))
        outer = self._scope
        self._scope = outer | {node.variable: item}
        parts = [self._reach(part, steps) for part in node.body]
        self._scope = outer
        if node.macro not in ("map", "filter"):
            return _SCALAR
        # What filter keeps is at most what it runs over; what map produces may be the heaviest value at each step.
        produced = parts[-1] if node.macro == "map" else item
        weight = LIST_NS + length * produced.weight if node.macro == "map" else LIST_NS + over.weight
        # At every step the list so far is copied twice, and is on average half as long as the final one.
        self._budget.charge(steps * weight + times * weight)
        return Computed(weight, length, lambda: produced)

    # --- What a value can be ---------------------------------------------------------------------------------------

    def _copied(self, reach: Reach, times: int) -> Reach:
        self._budget.charge(times * reach.weight)
        return reach

    def _known(self, values: Sequence[object]) -> Known:
        self._budget.charge(_LOOK_NS * len(values))
        return Known(values, max(map(self._weights.of, values), default=0))

    def _length(self, reach: Reach) -> int:
        if isinstance(reach, Computed):
            return reach.length
        return max(
            (len(value) for value in reach.values if isinstance(value, dict | list | tuple)), default=0
        )

    def _item(self, reach: Reach, *, of_keys: bool = False) -> Reach:
        """What an element can be, or with ``of_keys`` what a loop meets: the keys of a map."""
        if isinstance(reach, Computed):
            if reach.item is not None:
                return reach.item()
            return Computed(reach.weight, reach.weight // SCALAR_NS if reach.length else 0)
        lists = (value for value in reach.values if isinstance(value, list | tuple))
        maps = (value for value in reach.values if isinstance(value, dict))
        members: Iterable[Iterable[object]] = maps if of_keys else (value.values() for value in maps)
        return self._known(tuple(chain(chain.from_iterable(lists), chain.from_iterable(members))))

    def _member(self, reach: Reach, key: object) -> Reach:
        """What stands at a fixed key or position."""
        if isinstance(reach, Computed):
            return self._item(reach)
        if isinstance(key, str):
            return self._known(
                [value[key] for value in reach.values if isinstance(value, dict) and key in value]
            )
        return self._item(reach)

    def _either(self, reaches: Iterable[Reach]) -> Reach:
        """What is one of several."""
        options = list(reaches)
        known = [option for option in options if isinstance(option, Known)]
        if len(known) == len(options):
            return self._known(tuple(chain.from_iterable(option.values for option in known)))
        holding = [option for option in options if self._length(option)]
        is_unknown_inside = any(isinstance(option, Computed) and option.item is None for option in holding)
        return Computed(
            max((option.weight for option in options), default=0),
            max((self._length(option) for option in holding), default=0),
            None if is_unknown_inside else lambda: self._either(map(self._item, holding)),
        )
