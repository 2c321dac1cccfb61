"""Compiling and evaluating: the only place that calls the CEL library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from kanca.errors import ExpressionFailed
from kanca.expressions.checks import TYPE_NAMES, Checked, check
from kanca.expressions.cost import Estimate, bound_per_weight
from kanca.expressions.inputs import needs_of, take_inputs
from kanca.expressions.lexer import invalid
from kanca.expressions.parser import parse
from kanca.expressions.results import JsonValue, to_json
from kanca.expressions.tree import Call, Literal, Node, Operation, walk
from kanca.expressions.weights import Budget, TooExpensive, Weights

if TYPE_CHECKING:
    import cel

MAX_SOURCE_LENGTH = 4096
BUDGET = timedelta(milliseconds=50)
BUDGET_WITHOUT_COMPREHENSIONS = timedelta(milliseconds=10)


class Expression:
    """A checked and compiled expression. Immutable; may be used from several threads."""

    __slots__ = ("_bound", "_budget_ns", "_needs", "_program", "_tree", "names", "source")

    def __init__(
        self, source: str, tree: Node, checked: Checked, program: cel.Program, budget_ns: int
    ) -> None:
        self.source = source
        self.names = checked.names
        """The declared names that the expression refers to: the variables that it needs."""
        self._tree = tree
        self._program = program
        self._budget_ns = budget_ns
        self._needs = needs_of(tree, checked.names)
        self._bound = bound_per_weight(tree)

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    @property
    def prefix(self) -> str:
        """What the value begins with whatever the input is: ``a/`` of ``'a/' + input.b``. Often nothing."""
        node = self._tree
        while isinstance(node, Operation) and node.operator == "+":
            node = node.operands[0]
        return str(node.value) if isinstance(node, Literal) and node.is_string else ""

    def evaluate(self, variables: Mapping[str, object]) -> JsonValue:
        """The value of the expression as JSON.

        ``variables`` holds JSON values (besides: ``bytes``, ``timedelta``, aware ``datetime``) for at least ``names``.
        Raises ExpressionFailed with the fact ``reason``: ``missing_key``, ``missing_variable``, ``type_mismatch``,
        ``out_of_range``, ``division_by_zero``, ``bad_value``, ``too_deep``, ``too_expensive``, ``bad_result``, or
        ``failed``. Whole numbers up to 64 bits are exact (from 2⁶³ on they are CEL's ``uint``); a larger one that the
        expression refers to is a ``bad_value``: rounding it could make two keys one.
        """
        return to_json(self._execute(variables))

    def evaluate_bool(self, variables: Mapping[str, object]) -> bool:
        """The value of an expression that must be true or false.

        Raises ExpressionFailed as ``evaluate`` does, with the reason ``not_bool`` when it is neither.
        """
        value = self._execute(variables)
        if not isinstance(value, bool):
            raise ExpressionFailed("the result is not true or false", reason="not_bool")
        return value

    def keys_of(self, name: str) -> frozenset[str]:
        """The keys of variable ``name`` that the source itself names: ``a`` and ``b`` of ``steps.a.x + steps["b"]``."""
        needs = self._needs.get(name)
        return frozenset(needs.keys) if needs is not None else frozenset()

    def _execute(self, variables: Mapping[str, object]) -> object:
        budget = Budget(self._budget_ns)
        try:
            values, weights = take_inputs(self._needs, variables, budget)
            self._charge(values, weights, budget)
        except TooExpensive:
            raise ExpressionFailed(
                "the expression would take too long on this input", reason="too_expensive"
            ) from None
        try:
            return self._program.execute(values)
        except BaseException as error:
            if not _is_from_library(error):
                raise
            raise _failure(error) from None

    def _charge(self, values: dict[str, object], weights: Weights, budget: Budget) -> None:
        if self._bound is not None:
            base_ns, per_weight = self._bound
            if base_ns + per_weight * sum(map(weights.of, values.values())) <= budget.left_ns:
                return
        Estimate(values, weights, budget).charge(self._tree)


@lru_cache(maxsize=1024)
def _compiled(source: str, names: frozenset[str], allow_comprehensions: bool) -> Expression:
    _check_text(source)
    tree = parse(source)
    checked = check(source, tree, names, allow_comprehensions=allow_comprehensions)
    limit = BUDGET if allow_comprehensions else BUDGET_WITHOUT_COMPREHENSIONS
    budget_ns = limit // timedelta(microseconds=1) * 1000
    try:
        Estimate({}, Weights(), Budget(budget_ns)).charge(tree)
    except TooExpensive:
        raise invalid(source, 0, "the expression takes too long whatever its input") from None
    program = _program(source)
    _cross_check(source, program, checked)
    _try_patterns(source, tree)
    return Expression(source, tree, checked, program, budget_ns)


def compile_expression(source: str, names: AbstractSet[str], *, allow_comprehensions: bool) -> Expression:
    """The expression that ``source`` is, over the variables ``names``.

    With ``allow_comprehensions=False`` no list is run over and every evaluation stays below 10 ms instead of 50: what
    a gateway may do. Raises InvalidExpression for everything that is wrong, with ``line``, ``column`` and ``offset``.
    """
    return _compiled(source, frozenset(names), allow_comprehensions)


def _check_text(source: str) -> None:
    if len(source) > MAX_SOURCE_LENGTH:
        sentence = f"the expression is longer than {MAX_SOURCE_LENGTH} characters"
        raise invalid(source, MAX_SOURCE_LENGTH, sentence)
    try:
        source.encode()
    except UnicodeEncodeError as error:
        raise invalid(source, error.start, "half of a character (a lone surrogate)") from None


def _program(source: str) -> cel.Program:
    """What the library makes of the source, which our parser has accepted."""
    try:
        # Imported here: it brings its command line along, a quarter of what a process takes to start.
        import cel  # noqa: PLC0415

        return cel.compile(source)
    except BaseException as error:
        if not _is_from_library(error):
            raise
        found = re.search(r"<input>:(\d+):(\d+)", str(error))
        line, column = (int(found[1]), int(found[2])) if found else (1, 1)
        lines = source.split("\n")
        offset = sum(len(text) + 1 for text in lines[: line - 1]) + column - 1
        raise invalid(source, min(offset, len(source)), "this is not CEL") from None


def _cross_check(source: str, program: cel.Program, checked: Checked) -> None:
    """Refuse a source in which the library sees a name that our parser does not."""
    unseen = set(program.variables()) - checked.names - checked.local_names - TYPE_NAMES - {"@result"}
    if unseen:
        raise invalid(source, 0, f"unknown name {min(unseen)!r}")


def _try_patterns(source: str, tree: Node) -> None:
    for node in walk(tree):
        if isinstance(node, Call) and node.function == "matches" and isinstance(node.arguments[0], Literal):
            try:
                import cel  # noqa: PLC0415 - see _program

                cel.evaluate("''.matches(pattern)", {"pattern": node.arguments[0].value})
            except BaseException as error:
                if not _is_from_library(error):
                    raise
                raise invalid(
                    source, node.arguments[0].at, "this pattern is not a valid regular expression"
                ) from None


def _is_from_library(error: BaseException) -> bool:
    """True for errors, and for a panic of the library's Rust code, which is no Exception."""
    return isinstance(error, Exception) or type(error).__module__ == "pyo3_runtime"


_FUNCTION = re.compile(r"(?:Undefined variable or function: '|Function ')(\w{1,40})'")


def _failure(error: BaseException) -> ExpressionFailed:
    """The library's error in our words: its text may quote the values it worked on."""
    match error:
        case KeyError():
            key = str(error.args[0])[:100] if error.args else ""
            return ExpressionFailed(f"there is no key {key!r}", reason="missing_key", key=key)
        case IndexError():
            return ExpressionFailed("the list has no such position", reason="missing_key")
        case ZeroDivisionError():
            return ExpressionFailed("division by zero", reason="division_by_zero")
        case OverflowError():
            return ExpressionFailed("a number or time is out of range", reason="out_of_range")
        case TypeError():
            return ExpressionFailed(
                "an operation does not fit the types of its values; convert them with double(), int() or string()",
                reason="type_mismatch",
            )
    found = _FUNCTION.match(str(error))
    if found:
        return ExpressionFailed(f"{found[1]}() cannot be used on this value", reason="type_mismatch")
    return ExpressionFailed("the expression could not be evaluated", reason="failed")
