"""Expression source to tokens, as the grammar of CEL defines them (cel-spec, langdef, "Syntax").

Stricter than the library in nothing and laxer in nothing that changes a name: ``expression.py`` compares the names
found here with those the library finds in the same source, and refuses the expression when they differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kanca.errors import InvalidExpression

KEYWORDS = frozenset({"true", "false", "null", "in"})
RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package"}
    | {"namespace", "return", "var", "void", "while"}
)

_ESCAPE = r"""\\(?:[abfnrtv"'\\?`]|[0-3][0-7]{2}|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"""
_COOKED = (
    rf'"""(?:{_ESCAPE}|[^\\])*?"""'
    rf"|'''(?:{_ESCAPE}|[^\\])*?'''"
    rf'|"(?:{_ESCAPE}|[^\\"\n\r])*"'
    rf"|'(?:{_ESCAPE}|[^\\'\n\r])*'"
)
_RAW = r'''[rR](?:"""(?s:.)*?"""|\'\'\'(?s:.)*?\'\'\'|"[^"\n\r]*"|'[^'\n\r]*')'''
_TOKEN = re.compile(
    rf"""
    (?P<blank>[\t\ \r\n\f]+|//[^\n]*)
  | (?P<bytes>[bB](?:{_RAW}|{_COOKED.replace(" ", "[ ]")}))
  | (?P<string>{_RAW}|{_COOKED})
  | (?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
  | (?P<uint>0x[0-9a-fA-F]+[uU]|[0-9]+[uU])
  | (?P<int>0x[0-9a-fA-F]+|[0-9]+)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<symbol>==|!=|<=|>=|&&|\|\||[-<>+*/%!?:.,()\[\]{{}}])
    """,
    re.VERBOSE,
)
_SIMPLE_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Token:
    """One token: ``kind`` is a group name of the grammar, ``symbol`` for operators and keywords, or ``end``."""

    kind: str
    text: str
    at: int


def invalid(source: str, at: int, sentence: str) -> InvalidExpression:
    """The error for something wrong at offset ``at``: the sentence with its line and column, counted from 1."""
    line = source.count("\n", 0, at) + 1
    column = at - (source.rfind("\n", 0, at) + 1) + 1
    return InvalidExpression(f"line {line}, column {column}: {sentence}", line=line, column=column, offset=at)


def tokens_of(source: str) -> list[Token]:
    """The tokens of ``source`` without blanks and comments, ending with one of kind ``end``.

    Raises InvalidExpression at the first character that starts no token.
    """
    tokens: list[Token] = []
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        if found is None:
            raise invalid(source, at, _why_no_token(source[at]))
        kind, text = str(found.lastgroup), found.group()
        if kind == "name" and text in KEYWORDS:
            kind = "symbol"
        if kind != "blank":
            tokens.append(Token(kind, text, at))
        at = found.end()
    tokens.append(Token("end", "", at))
    return tokens


def text_of(literal: str) -> str:
    """The text that a string literal stands for. Raises ValueError when an escape names no character."""
    raw = literal[0] in "rR"
    quoted = literal[1:] if raw else literal
    width = 3 if len(quoted) >= 6 and quoted[:3] in ('"""', "'''") else 1
    inner = quoted[width:-width]
    return inner if raw else re.sub(_ESCAPE, _unescaped, inner)


def _unescaped(escape: re.Match[str]) -> str:
    body = escape.group()[1:]
    if body[0] in "xXuU":
        code = int(body[1:], 16)
    elif body[0] in "0123":
        code = int(body, 8)
    else:
        return _SIMPLE_ESCAPES.get(body, body)
    if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
        raise ValueError("not a character")
    return chr(code)


def _why_no_token(character: str) -> str:
    if character in "\"'":
        return "this text is not closed, or has an escape that CEL does not know"
    if character in "=&|":
        return f"{character!r} is not an operator; write {character * 2!r}"
    return f"unexpected character {character!r}"
