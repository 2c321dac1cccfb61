"""What a parsed expression may say: declared names, known functions, few comprehensions.

The library compiles unknown names and functions and fails only when it meets them; here they are errors of the source.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from kanca.expressions.lexer import RESERVED, invalid
from kanca.expressions.patterns import PatternTooLarge, pattern_cost
from kanca.expressions.tree import MACROS, Call, Comprehension, Literal, Name, Node, children

MAX_COMPREHENSIONS = 8
MAX_NESTED_COMPREHENSIONS = 2

TYPE_NAMES = frozenset(
    {"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"}
)
"""Names that CEL declares itself, for ``type(x) == int``."""

FUNCTIONS = frozenset(
    {"bytes", "double", "duration", "dyn", "int", "size", "string", "timestamp", "type", "uint"}
)
"""Functions of one argument: ``size(x)``."""

METHODS = {"contains": 1, "endsWith": 1, "matches": 1, "size": 0, "startsWith": 1} | {
    f"get{part}": 0
    for part in (
        *("FullYear", "Month", "Date", "DayOfMonth", "DayOfWeek", "DayOfYear"),
        *("Hours", "Minutes", "Seconds", "Milliseconds"),
    )
}
"""Methods and how many arguments they take: ``x.contains(y)``."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What checking found out about a tree."""

    names: frozenset[str]
    """The declared names that are referenced."""
    local_names: frozenset[str]
    """The variables of comprehensions."""


def check(source: str, tree: Node, names: AbstractSet[str], *, allow_comprehensions: bool) -> Checked:
    """Refuse what an expression over ``names`` may not say.

    Raises InvalidExpression, with line and column, for an unknown name or function, a pattern that is not a literal or
    too large, a comprehension where none is allowed, and too many or too deeply nested ones.
    """
    checker = _Checker(source, names, allow_comprehensions)
    checker.visit(tree, frozenset(), 0)
    return Checked(frozenset(checker.used), frozenset(checker.local_names))


class _Checker:
    def __init__(self, source: str, names: AbstractSet[str], allow_comprehensions: bool) -> None:
        self._source = source
        self._names = names
        self._allow_comprehensions = allow_comprehensions
        self.used: set[str] = set()
        self.local_names: set[str] = set()
        self.comprehensions = 0

    def visit(self, node: Node, scope: frozenset[str], nesting: int) -> None:
        if isinstance(node, Comprehension):
            self._comprehension(node, scope, nesting)
            return
        if isinstance(node, Name):
            self._name(node, scope)
        elif isinstance(node, Call):
            self._call(node)
        for child in children(node):
            self.visit(child, scope, nesting)

    def _name(self, node: Name, scope: frozenset[str]) -> None:
        if node.name in scope or (node.name in TYPE_NAMES and node.name not in self._names):
            return
        if node.name not in self._names:
            known = (
                f"the names here are {', '.join(sorted(self._names))}"
                if self._names
                else "there are none here"
            )
            raise invalid(self._source, node.at, f"unknown name {node.name!r}; {known}")
        self.used.add(node.name)

    def _call(self, node: Call) -> None:
        count = len(node.arguments)
        if node.target is None:
            if node.function not in FUNCTIONS:
                raise invalid(self._source, node.at, self._unknown_function(node))
            if count != 1:
                raise invalid(self._source, node.at, f"{node.function}() takes one argument, not {count}")
            return
        if node.function not in METHODS:
            raise invalid(self._source, node.at, self._unknown_function(node))
        if count != METHODS[node.function]:
            takes = f"{METHODS[node.function]} argument(s), not {count}"
            raise invalid(self._source, node.at, f".{node.function}() takes {takes}")
        if node.function == "matches":
            self._pattern(node.arguments[0])

    def _unknown_function(self, node: Call) -> str:
        if node.target is None and (node.function in METHODS or node.function in MACROS):
            return f"{node.function}() is a method: write value.{node.function}(…)"
        if node.target is not None and node.function in FUNCTIONS:
            return f"{node.function}() is no method: write {node.function}(value)"
        return f"unknown function {node.function!r}"

    def _pattern(self, argument: Node) -> None:
        if not isinstance(argument, Literal) or not argument.is_string:
            raise invalid(self._source, argument.at, "the pattern of matches() must be a literal text")
        try:
            pattern_cost(str(argument.value))
        except PatternTooLarge as error:
            raise invalid(self._source, argument.at, str(error)) from None

    def _comprehension(self, node: Comprehension, scope: frozenset[str], nesting: int) -> None:
        if not self._allow_comprehensions:
            raise invalid(self._source, node.at, f"{node.macro}() is not allowed here: it runs over a list")
        self.comprehensions += 1
        if self.comprehensions > MAX_COMPREHENSIONS:
            raise invalid(self._source, node.at, f"more than {MAX_COMPREHENSIONS} of {', '.join(MACROS)}")
        if nesting == MAX_NESTED_COMPREHENSIONS:
            limit = MAX_NESTED_COMPREHENSIONS
            raise invalid(self._source, node.at, f"{node.macro}() is nested more than {limit} deep")
        if node.variable in RESERVED or node.variable in TYPE_NAMES:
            raise invalid(self._source, node.at, f"{node.variable!r} cannot be the name of a variable")
        self.local_names.add(node.variable)
        self.visit(node.over, scope, nesting)
        for part in node.body:
            self.visit(part, scope | {node.variable}, nesting + 1)
