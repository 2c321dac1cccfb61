r"""How long a regular expression of ``matches()`` takes, from its text alone.

The library compiles the pattern at each call and searches in time linear in the text (Rust's ``regex``: no
backtracking), but its factors are the pattern's: ``\w{100}`` takes 24 ms to compile, and ``(a|b)*a(a|b){200}c`` 2.3 s
over 1 MiB. So a pattern is counted in *atoms*, one for each character or class after counted repetitions are
multiplied out. Measured worst cases: 12 ns for each atom and byte searched, 240 µs to compile a Unicode class.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

MAX_PATTERN_LENGTH = 500
MAX_COMPILE_NS = 5_000_000
MAX_GROUP_DEPTH = 20

SEARCH_NS_PER_ATOM_AND_BYTE = 15
_CALL_NS = 20_000
_ATOM_NS = 150
_SMALL_CLASS_NS = 15_000
_DIGIT_OR_SPACE_NS = 40_000
_UNICODE_CLASS_NS = 350_000

_COUNT = re.compile(r"\{\s*(\d+)\s*(?:(,)\s*(\d*)\s*)?\}")
_GROUP_START = re.compile(r"\((?:\?(?:P?<[^>]*>|(?P<flags>[A-Za-z-]*)[:)]))?")
_LONG_ESCAPE = re.compile(r"[pPxuU]\{[^}]*\}|[pP].|b\{[a-z-]+\}")


class PatternTooLarge(ValueError):
    """The pattern cannot be used; the message is for people."""


@dataclass(frozen=True, slots=True)
class PatternCost:
    """What one use of a pattern costs at most."""

    compile_ns: int
    atoms: int


@lru_cache(maxsize=512)
def pattern_cost(pattern: str) -> PatternCost:
    """The cost of ``pattern``, never below the real one. Raises PatternTooLarge beyond MAX_COMPILE_NS.

    Whether the pattern is valid is for the library to say; of an invalid one the cost means nothing.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise PatternTooLarge(f"the pattern is longer than {MAX_PATTERN_LENGTH} characters")
    cost = _Reader(pattern).alternatives()
    total_ns = _CALL_NS + cost.compile_ns
    if total_ns > MAX_COMPILE_NS:
        raise PatternTooLarge("the pattern is too large once its classes and repetitions are written out")
    return PatternCost(total_ns, max(1, cost.atoms))


class _Reader:
    """Reads a pattern once, left to right, adding up costs."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._ignores_case = False
        self._depth = 0

    def alternatives(self) -> PatternCost:
        """The cost up to the end of this group (alternatives add up)."""
        total = PatternCost(0, 0)
        while self._at < len(self._pattern):
            character = self._pattern[self._at]
            if character == ")":
                self._at += 1
                break
            part = self._times_repeated(self._part(character))
            total = PatternCost(total.compile_ns + part.compile_ns, total.atoms + part.atoms)
        return total

    def _part(self, character: str) -> PatternCost:
        if character == "(":
            return self._group()
        self._at += 1
        if character == "[":
            return PatternCost(_SMALL_CLASS_NS + self._rest_of_class(), 1)
        if character == "\\":
            return PatternCost(self._rest_of_escape(), 1)
        if character == ".":
            return PatternCost(_SMALL_CLASS_NS, 1)
        return PatternCost(_SMALL_CLASS_NS if self._ignores_case else _ATOM_NS, 1)

    def _group(self) -> PatternCost:
        start = _GROUP_START.match(self._pattern, self._at)
        assert start is not None  # noqa: S101 — the caller saw "("
        flags = start["flags"] or ""
        if "x" in flags:
            raise PatternTooLarge("the flag x (free spacing) cannot be used in patterns here")
        self._ignores_case |= "i" in flags  # for the rest of the pattern: more than its scope, never less
        self._at = start.end()
        if start.group().endswith(")"):
            return PatternCost(0, 0)
        self._deeper()
        inner = self.alternatives()
        self._depth -= 1
        return PatternCost(inner.compile_ns + _ATOM_NS, inner.atoms + 1)

    def _rest_of_class(self) -> int:
        """The extra cost of what stands in a class whose ``[`` was read."""
        extra_ns = 0
        self._deeper()
        self._at += self._pattern.startswith("^", self._at)
        self._at += self._pattern.startswith("]", self._at)
        while self._at < len(self._pattern):
            character = self._pattern[self._at]
            self._at += 1
            if character == "]":
                break
            if character == "[":
                extra_ns += self._rest_of_class()
            elif character == "\\":
                extra_ns += self._rest_of_escape()
            elif self._ignores_case or not character.isascii():
                extra_ns += _SMALL_CLASS_NS
        self._depth -= 1
        return extra_ns

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_GROUP_DEPTH:
            raise PatternTooLarge(f"the pattern nests more than {MAX_GROUP_DEPTH} groups")

    def _rest_of_escape(self) -> int:
        """The cost of the escape whose backslash was read."""
        kind = self._pattern[self._at : self._at + 1]
        long = _LONG_ESCAPE.match(self._pattern, self._at)
        self._at = long.end() if long else self._at + 1
        if kind and kind in "wWpP":
            return _UNICODE_CLASS_NS
        if kind and kind in "dDsS":
            return _DIGIT_OR_SPACE_NS
        return _SMALL_CLASS_NS if self._ignores_case else _ATOM_NS

    def _times_repeated(self, part: PatternCost) -> PatternCost:
        while self._at < len(self._pattern):
            count = _COUNT.match(self._pattern, self._at)
            if count is not None:
                times = max(int(bound) for bound in (count[1], count[3]) if bound)
                times = max(1, times + (count[2] is not None and not count[3]))
                part = PatternCost(part.compile_ns * times, part.atoms * times)
                self._at = count.end()
            elif self._pattern[self._at] in "*+?":
                self._at += 1
            else:
                break
        return part
