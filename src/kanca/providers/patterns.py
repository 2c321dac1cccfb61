"""Regular expressions in specs, held against what callers choose.

Python's backtrack, so that a careless one lets anybody keep a gateway busy for ever: ``(a+)+`` against thirty letters
takes minutes. The usual mistakes are refused here; who writes specs is trusted not to look for others.
"""

from __future__ import annotations

import re

MOST_OPEN_REPEATS = 3
MAX_MATCHED_LENGTH = 500
"""Characters of a text that can fit; no longer one does."""

_SKIPPED = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_OPEN_REPEAT = re.compile(r"[*+]|\{\d*,\}|\{(?:\d*,)?\d{2,}\}")
_REPEATED_GROUP = re.compile(rf"\)(?:{_OPEN_REPEAT.pattern})")


def check_pattern(pattern: str) -> None:
    """Raise ValueError for what is no regular expression, or one that could take very long."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"`{pattern}` is no regular expression: {error}") from error
    plain = _SKIPPED.sub("x", pattern)
    if _REPEATED_GROUP.search(plain) or re.search(r"\(\?P=|\\[1-9]", pattern):
        raise ValueError(
            f"`{pattern}` repeats a group any number of times, or refers to one: it could take very long"
        )
    if len(_OPEN_REPEAT.findall(plain)) > MOST_OPEN_REPEATS:
        raise ValueError(
            f"`{pattern}` has more than {MOST_OPEN_REPEATS} open repetitions: it could take very long"
        )


def fits(pattern: re.Pattern[str] | str, text: str) -> bool:
    """Whether a pattern fits the whole of a text that is not too long."""
    return len(text) <= MAX_MATCHED_LENGTH and re.fullmatch(pattern, text) is not None
