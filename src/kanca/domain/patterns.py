"""Event types and the patterns that match them."""

from __future__ import annotations

import re
from functools import lru_cache

_PATTERN = re.compile(r"\*|[^*\s]+\.\*|\*\.[^*\s]+|[^*\s]+")


def is_pattern(text: str) -> bool:
    """Whether ``text`` is an event type or a pattern: ``order.created``, ``order.*``, ``*.created``, ``*``."""
    return bool(_PATTERN.fullmatch(text))


def matches(pattern: str, event_type: str) -> bool:
    """Whether an event type fits. ``*`` is one or more parts: ``order.*`` fits ``order.item.added``, not ``order``."""
    return pattern == event_type or ("*" in pattern and bool(_compiled(pattern).fullmatch(event_type)))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".+"), re.DOTALL)
