"""The syntax tree of an expression: what the checks and the cost estimate look at.

It mirrors CEL's grammar after macros have been recognised; every node knows where in the source it stands (``at``,
an offset in characters). The tree is only read: evaluation is the library's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal as OneOf

MACROS = ("all", "exists", "exists_one", "existsOne", "map", "filter")
"""The comprehensions of CEL, as method names."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. ``value`` is a Python value; bytes literals carry their source text, which bounds their size."""

    at: int
    value: object
    is_string: bool = False


@dataclass(frozen=True, slots=True)
class Name:
    """A variable or a type name."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """``operand.field``, or ``has(operand.field)`` when ``is_test``."""

    at: int
    operand: Node
    field: str
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class Index:
    """``operand[index]``."""

    at: int
    operand: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Call:
    """``function(arguments)``, or ``target.function(arguments)``."""

    at: int
    function: str
    target: Node | None
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """A unary, binary or chained (``&&``, ``||``) operator."""

    at: int
    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    """``condition ? then : otherwise``."""

    at: int
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class ListOf:
    """``[a, b]``."""

    at: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapOf:
    """``{k: v}``: keys and values alternate in ``items``."""

    at: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Comprehension:
    """``over.macro(variable, body)``; ``map`` may have a condition before its body, and then both are in ``body``."""

    at: int
    macro: OneOf["all", "exists", "exists_one", "map", "filter"]
    over: Node
    variable: str
    body: tuple[Node, ...]


Node = Literal | Name | Select | Index | Call | Operation | Conditional | ListOf | MapOf | Comprehension


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below ``node``, in the order of the source."""
    match node:
        case Literal() | Name():
            return ()
        case Select(operand=operand):
            return (operand,)
        case Index(operand=operand, index=index):
            return (operand, index)
        case Call(target=target, arguments=arguments):
            return arguments if target is None else (target, *arguments)
        case Operation(operands=operands):
            return operands
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)
        case ListOf(items=items) | MapOf(items=items):
            return items
        case Comprehension(over=over, body=body):
            return (over, *body)


def walk(node: Node) -> Iterator[Node]:
    """``node`` and every node below it."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(children(current))


def depth_of(node: Node) -> int:
    """The number of nodes on the longest way down from ``node``."""
    deepest, waiting = 0, [(node, 1)]
    while waiting:
        current, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting.extend((child, depth + 1) for child in children(current))
    return deepest
