"""Finding the one item of a batch that the database refuses, so that it fails alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from kanca.errors import DatabaseUnavailable, InvalidInput
from kanca.storage.appending import Refused

Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def write_or_halve(
    write: Callable[[Sequence[Item]], Awaitable[list[Answer]]], items: Sequence[Item]
) -> list[Answer | Exception]:
    """Give the answer for each item, in order; InvalidInput for one that cannot be stored.

    ``write`` stores all items in one transaction and raises Refused when it cannot take one of them. Once something
    is stored, a database that goes away is an answer too. Raises DatabaseUnavailable before that.
    """
    try:
        return [*await write(items)]
    except Refused:
        if len(items) == 1:
            return [InvalidInput("There is a value that cannot be stored")]
    middle = len(items) // 2
    first = await write_or_halve(write, items[:middle])
    try:
        return first + await write_or_halve(write, items[middle:])
    except DatabaseUnavailable as error:
        return first + [error] * (len(items) - middle)
