"""What values weigh: the nanoseconds that the library needs to copy one, and to take one over from Python.

Measured with version 0.10 of the library, which copies values deeply at every selection and loop step: 31 ns a
number, 63 ns a short text, 35 ns and its items a list, 40 ns and 90 ns an entry a map; to take over, 0.1 to 0.6 µs a
number, 1.0 µs a text, 1.1 µs a key, 1.0 µs a list or map. The figures below are higher: they also cover what checking
a value costs in Python, and slower machines.
"""

from __future__ import annotations

SCALAR_NS = 36
TEXT_NS = 70
LIST_NS = 45
MAP_NS = 50
ENTRY_NS = 100
BYTES_PER_NS = 4

CONVERT_SCALAR_NS = 1_000
CONVERT_TEXT_NS = 1_400
CONVERT_CONTAINER_NS = 1_600
CONVERT_ENTRY_NS = 1_600

_TEXTS = (str, bytes)
_CONTAINERS = (dict, list, tuple)


class TooExpensive(Exception):
    """The budget is used up. Never leaves this package."""


class Budget:
    """Nanoseconds that may be spent, counted before they are."""

    __slots__ = ("left_ns",)

    def __init__(self, total_ns: int) -> None:
        self.left_ns = total_ns

    def charge(self, ns: int) -> None:
        """Spend ``ns``. Raises TooExpensive when there is less left."""
        self.left_ns -= ns
        if self.left_ns < 0:
            raise TooExpensive


class Weights:
    """The weights of the lists and maps in the inputs of one evaluation, which lives as long as they do."""

    __slots__ = ("_of_containers",)

    def __init__(self) -> None:
        self._of_containers: dict[int, int] = {}

    def note(self, container: object, weight: int) -> None:
        """Remember the weight of a list or map."""
        self._of_containers[id(container)] = weight

    def of(self, value: object) -> int:
        """The weight of an input value, or of a constant."""
        if isinstance(value, _TEXTS):
            return TEXT_NS + size_bytes(value) // BYTES_PER_NS
        if isinstance(value, _CONTAINERS):
            return self._of_containers[id(value)]
        return SCALAR_NS


def size_bytes(text: str | bytes) -> int:
    """The UTF-8 size of ``text``, or a little more."""
    return len(text) if isinstance(text, bytes) or text.isascii() else 4 * len(text)
