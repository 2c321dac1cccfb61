"""How long to wait before something that failed is tried again, where what failed is ours and not a receiver."""

from __future__ import annotations


def pause_after(failures: int, first_s: float, longest_s: float, chance: float) -> float:
    """Seconds to wait after the ``failures``-th failure in a row: twice as long each time, up to ``longest_s``.

    ``chance`` (0 to 1) takes away up to half, so that all who lost the same database do not come back at once.
    """
    grown = first_s * 2.0 ** min(failures - 1, 32)
    return min(grown, longest_s) * (1 - chance / 2)
