"""Pages of long lists: each begins where the last one ended, so that the thousandth costs what the first did."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from kanca.errors import InvalidInput

T = TypeVar("T")

MAX_LIMIT = 500
MAX_NUMBER = 2**31 - 1
"""The largest that a column of numbers takes."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list."""

    items: tuple[T, ...]
    next_cursor: str | None
    """Where the next page begins; None when there is none."""


def check_limit(limit: int) -> int:
    """Give ``limit`` back. Raises InvalidInput unless it is 1 to 500."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"limit must be from 1 to {MAX_LIMIT}")
    return limit


def cursor_after(last: UUID | int | str) -> str:
    """Make the opaque cursor of a page that begins after ``last``."""
    text = last.hex if isinstance(last, UUID) else str(last)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> str:
    """Read what ``cursor_after`` was given, as text. Raises InvalidInput."""
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (BadBase64, ValueError):
        raise _not_a_cursor() from None
    if not text.isprintable():  # a NUL, which no text column takes
        raise _not_a_cursor()
    return text


def read_id_cursor(cursor: str) -> UUID:
    """Read the id in a cursor. Raises InvalidInput."""
    try:
        return UUID(hex=read_cursor(cursor))
    except ValueError:
        raise _not_a_cursor() from None


def read_number_cursor(cursor: str) -> int:
    """Read the number in a cursor. Raises InvalidInput."""
    text = read_cursor(cursor)
    if not text.isdecimal() or len(text) > 10 or int(text) > MAX_NUMBER:
        raise _not_a_cursor()
    return int(text)


def _not_a_cursor() -> InvalidInput:
    return InvalidInput("cursor is not one that this list gave")
