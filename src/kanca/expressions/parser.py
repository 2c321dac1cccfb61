"""Tokens to a tree: a recursive-descent parser for the grammar of CEL (cel-spec, langdef, "Syntax").

Field selections marked optional (``a.?b``), messages (``Type{...}``) and names with a leading dot are refused: nothing
here has a use for them.
"""

from __future__ import annotations

import math

from kanca.expressions.lexer import RESERVED, Token, invalid, text_of, tokens_of
from kanca.expressions.tree import (
    MACROS,
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
    depth_of,
)

MAX_DEPTH = 40
"""Deepest nesting of brackets, and the longest way down the tree. ``&&`` and ``||`` chains count once."""

_LEVEL_OF = {"||": 0, "&&": 1, **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "in"), 2)}
_LEVEL_OF |= {"+": 3, "-": 3, "*": 4, "/": 4, "%": 4}
_CHAINED = ("||", "&&")  # one node with many operands: the library balances them, so a long chain is not deep


def parse(source: str) -> Node:
    """The tree of ``source``. Raises InvalidExpression, with line and column, for whatever is not CEL."""
    parser = _Parser(source)
    node = parser.expression()
    parser.expect("end", "an operator or the end of the expression")
    if depth_of(node) > MAX_DEPTH:
        raise invalid(source, 0, f"the expression is nested more than {MAX_DEPTH} deep")
    return node


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = tokens_of(source)
        self._position = 0
        self._depth = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _take(self) -> Token:
        token = self._next
        self._position += 1
        return token

    def _sees(self, *symbols: str) -> bool:
        return self._next.kind == "symbol" and self._next.text in symbols

    def expect(self, what: str, description: str = "") -> Token:
        """The next token, which must be of kind ``what`` or the symbol ``what``."""
        token = self._next
        if token.kind == what or (token.kind == "symbol" and token.text == what):
            return self._take() if token.kind != "end" else token
        found = "the expression ends" if token.kind == "end" else f"there is {token.text[:40]!r}"
        raise invalid(self._source, token.at, f"{found} where {description or repr(what)} was expected")

    def expression(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise invalid(self._source, self._next.at, f"the expression is nested more than {MAX_DEPTH} deep")
        node = self._binary(0)
        if self._sees("?"):
            at = self._take().at
            then = self._binary(0)
            self.expect(":", "':' of the condition")
            node = Conditional(at, node, then, self.expression())
        self._depth -= 1
        return node

    def _binary(self, lowest: int) -> Node:
        node = self._unary()
        while self._next.kind == "symbol" and _LEVEL_OF.get(self._next.text, -1) >= lowest:
            token = self._take()
            right = self._binary(_LEVEL_OF[token.text] + 1)
            if token.text in _CHAINED and isinstance(node, Operation) and node.operator == token.text:
                node = Operation(node.at, node.operator, (*node.operands, right))
            else:
                node = Operation(token.at, token.text, (node, right))
        return node

    def _unary(self) -> Node:
        first = self._next
        if not self._sees("!", "-"):
            return self._member()
        while self._sees(first.text):
            self._take()
        return Operation(first.at, first.text, (self._member(),))

    def _member(self) -> Node:
        node = self._primary()
        while self._sees(".", "["):
            token = self._take()
            if token.text == "[":
                node = Index(token.at, node, self.expression())
                self.expect("]")
                continue
            field = self.expect("name", "the name of a field")
            if self._sees("("):
                node = self._method(field, node, self._arguments())
            else:
                node = Select(field.at, node, field.text)
        return node

    def _primary(self) -> Node:
        token = self._next
        if token.kind in ("int", "uint", "float", "string", "bytes"):
            return self._literal(self._take(), sign=1)
        if token.kind == "name":
            return self._named(self._take())
        if self._sees("-") and self._tokens[self._position + 1].kind in ("int", "float"):
            self._take()
            return self._literal(self._take(), sign=-1)
        if self._sees("true", "false", "null"):
            return Literal(token.at, {"true": True, "false": False, "null": None}[self._take().text])
        if self._sees("("):
            self._take()
            node = self.expression()
            self.expect(")")
            return node
        if self._sees("["):
            self._take()
            return ListOf(token.at, self._items("]"))
        if self._sees("{"):
            self._take()
            return MapOf(token.at, self._items("}"))
        self.expect("value", "a value")
        raise AssertionError("no token is of kind 'value'")

    def _named(self, token: Token) -> Node:
        if token.text in RESERVED:
            raise invalid(self._source, token.at, f"{token.text!r} is a reserved word of CEL")
        if not self._sees("("):
            return Name(token.at, token.text)
        arguments = self._arguments()
        if token.text != "has":
            return Call(token.at, token.text, None, arguments)
        if len(arguments) != 1 or not isinstance(arguments[0], Select) or arguments[0].is_test:
            raise invalid(self._source, token.at, "has() takes one field, as in has(event.data.name)")
        return Select(token.at, arguments[0].operand, arguments[0].field, is_test=True)

    def _method(self, name: Token, target: Node, arguments: tuple[Node, ...]) -> Node:
        if name.text not in MACROS:
            return Call(name.at, name.text, target, arguments)
        most = 3 if name.text == "map" else 2
        if not 2 <= len(arguments) <= most or not isinstance(arguments[0], Name):
            takes = (
                "a variable, an optional condition and a value" if most == 3 else "a variable and a condition"
            )
            raise invalid(self._source, name.at, f"{name.text}() takes {takes}")
        macro = "exists_one" if name.text == "existsOne" else name.text
        return Comprehension(name.at, macro, target, arguments[0].name, arguments[1:])  # type: ignore[arg-type]  # in MACROS

    def _arguments(self) -> tuple[Node, ...]:
        self.expect("(")
        if self._sees(")"):
            self._take()
            return ()
        arguments = [self.expression()]
        while self._sees(","):
            self._take()
            arguments.append(self.expression())
        self.expect(")", "',' or ')'")
        return tuple(arguments)

    def _items(self, close: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._sees(close):
            if items:
                self.expect(",", f"',' or {close!r}")
                if self._sees(close):
                    break
            items.append(self.expression())
            if close == "}":
                self.expect(":", "':' after the key")
                items.append(self.expression())
        self._take()
        return tuple(items)

    def _literal(self, token: Token, sign: int) -> Literal:
        if token.kind == "bytes":
            return Literal(token.at, token.text)
        if token.kind == "string":
            try:
                return Literal(token.at, text_of(token.text), is_string=True)
            except ValueError:
                raise invalid(
                    self._source, token.at, "this text has an escape that is not a character"
                ) from None
        number = sign * _number(token)
        if not self._fits(token, number):
            raise invalid(self._source, token.at, "this number is too large")
        return Literal(token.at, number)

    def _fits(self, token: Token, number: float) -> bool:
        if token.kind == "uint":
            return number < 2**64
        if token.kind == "float":
            return math.isfinite(number)
        follows_minus = self._position > 1 and self._tokens[self._position - 2].text == "-"
        return -(2**63) <= number < 2**63 + follows_minus


def _number(token: Token) -> int | float:
    if token.kind == "float":
        return float(token.text)
    digits = token.text.rstrip("uU")
    return int(digits, 16) if digits.startswith("0x") else int(digits)
