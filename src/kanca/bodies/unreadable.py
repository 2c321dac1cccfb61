"""Why a body could not be decoded or read."""

from __future__ import annotations


class Unreadable(ValueError):
    """The body is not what it says it is, or more than is read. ``code`` and ``detail`` are fit for its sender."""

    def __init__(self, code: str, detail: str) -> None:
        """``code`` is a stable word (``invalid_json``), ``detail`` a sentence."""
        super().__init__(detail)
        self.code = code
        self.detail = detail


def too_many(things: str, most: int) -> Unreadable:
    """More parts than are read, of whatever kind."""
    return Unreadable("too_many_parts", f"The body has more than {most} {things}.")
