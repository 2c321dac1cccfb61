"""Finding the one item of a batch that the database refuses, so that it fails alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from kanca.errors import DatabaseUnavailable, InvalidInput

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MAX_TRANSACTION_BYTES = 32 * 1024 * 1024
"""A larger batch becomes several transactions: a driver's message and a database's array have limits."""


class Refused(Exception):
    """The database does not take one of the values, and nothing was written."""


async def write_or_halve(
    write: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]], items: Sequence[Item]
) -> list[Answer | Exception]:
    """Give the answer for each item, in order; InvalidInput for one that cannot be stored.

    ``write`` stores all items in one transaction and raises Refused when it cannot take one of them. Once something
    is stored, a database that goes away is an answer too. Raises DatabaseUnavailable before that.
    """
    try:
        return [*await write(items)]
    except Refused:
        if len(items) == 1:
            return [refusal()]
    middle = len(items) // 2
    first = await write_or_halve(write, items[:middle])
    try:
        return first + await write_or_halve(write, items[middle:])
    except DatabaseUnavailable as error:
        return first + [error] * (len(items) - middle)


def refusal() -> InvalidInput:
    """Make the answer for what cannot be stored."""
    return InvalidInput("There is a value that cannot be stored")
