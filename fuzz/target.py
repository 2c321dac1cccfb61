"""What a target is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple


class Target(NamedTuple):
    """An entry point and what it is first tried with."""

    check: Callable[[bytes], None]
    """Raises for an input that shows a fault."""
    seeds: Callable[[], Iterable[bytes]]
    """Inputs to begin with."""
    words: tuple[bytes, ...] = ()
    """What inputs are likely to be made of."""
