"""Noticing which versions (see ``storage.versions``) a transaction of this process moved on, once it is committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

P = ParamSpec("P")
T = TypeVar("T")

Notice = Callable[[frozenset[str]], None]
"""Is told the subjects that moved on."""

_NOTED = "kanca_moved"


def note_move(connection: Connection, subject: str) -> None:
    """Note that the transaction under way moves a subject on, where anybody wants to know."""
    noted: set[str] | None = connection.info.get(_NOTED)
    if noted is not None:
        noted.add(subject)


class Moves:
    """Tells of what the writes of one open database moved on."""

    def __init__(self) -> None:
        self._notices: list[Notice] = []

    def listen(self, notice: Notice) -> None:
        """Have ``notice`` called after each commit that moved something on. It must be quick and never raise."""
        self._notices.append(notice)

    def tell(self, subjects: set[str]) -> None:
        """Say that a transaction that moved these on is committed."""
        if subjects:
            for notice in self._notices:
                notice(frozenset(subjects))


def noting(
    change: Callable[Concatenate[Connection, P], T], subjects: set[str]
) -> Callable[Concatenate[Connection, P], T]:
    """``change``, which leaves in ``subjects`` what its last run moved on."""

    def run(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> T:
        subjects.clear()
        info = connection.info  # asked of a connection that was lost, it would be made anew
        info[_NOTED] = subjects
        try:
            return change(connection, *args, **kwargs)
        finally:
            del info[_NOTED]

    return run
