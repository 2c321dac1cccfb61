"""The event that is being handled, for what its handler publishes meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from kanca.domain.trace import Trace


@dataclass(frozen=True, slots=True)
class Handled:
    """What is published while an event is handled has from that event."""

    correlation_id: str
    hops: Callable[[], int]
    """How often it went through Kanca; asked only when something is published."""
    trace: Callable[[], Trace]
    """Where in a trace it is handled; asked as rarely."""


_handled: ContextVar[Handled | None] = ContextVar("kanca_handled", default=None)


def current() -> Handled | None:
    """The event that the code that asks is called for, if any."""
    return _handled.get()


@contextmanager
def handling(handled: Handled) -> Iterator[None]:
    """Have ``current`` give this for the body and what it starts: tasks and threads get a copy of the context."""
    token = _handled.set(handled)
    try:
        yield
    finally:
        _handled.reset(token)
