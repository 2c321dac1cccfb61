"""Spans: what was done, for how long, and in whose trace.

Without a tracer nothing is recorded, but the trace goes on all the same: a span then only says where what happens in it
stands. ``kanca.telemetry.otel`` is the tracer, and is loaded only where tracing is configured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, NamedTuple, Protocol

from kanca.domain.trace import Trace

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool | None]

_NOTHING: Attributes = {}


class Span(Protocol):
    """Something that is under way."""

    @property
    def trace(self) -> Trace:
        """Where what it calls stands."""

    def say(self, attributes: Attributes) -> None:
        """Add what is known by now."""

    def fail(self, code: str) -> None:
        """Say that it failed, and why."""


class Tracer(Protocol):
    """Records spans."""

    def span(
        self, name: str, parent: Trace | None, kind: Kind, attributes: Attributes
    ) -> AbstractContextManager[Span]:
        """A span below ``parent`` that ends with the context, and is the current one within it."""
        ...

    def note(self, name: str, began_ns: int, links: Iterable[Trace], attributes: Attributes) -> None:
        """A span that began at a moment (Unix nanoseconds), ends now, and is linked to others."""
        ...

    def close(self) -> None:
        """Hand on what was recorded."""
        ...


class _Unrecorded(NamedTuple):
    parent: Callable[[], Trace]
    about: Callable[[], str]

    @property
    def trace(self) -> Trace:
        return self.parent().child(self.about())

    def say(self, attributes: Attributes) -> None: ...

    def fail(self, code: str) -> None: ...


class _State:
    tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """Record spans of this process with ``tracer``, or (None) none any more."""
    _State.tracer = tracer


def is_recording() -> bool:
    """Whether spans are recorded here."""
    return _State.tracer is not None


def span(
    name: str,
    parent: Callable[[], Trace],
    about: Callable[[], str],
    kind: Kind,
    attributes: Callable[[], Attributes],
) -> AbstractContextManager[Span]:
    """Something that is done in a trace; ``about`` tells it from other things that are done there.

    All of it is asked only when somebody wants to know, for finding out costs more than much of the work.
    """
    if _State.tracer is None:
        return nullcontext(_Unrecorded(parent, about))
    return _State.tracer.span(name, parent(), kind, attributes())


def request_span(
    parent: Trace | None, name: str, attributes: Attributes
) -> AbstractContextManager[Span | None]:
    """A request that came, maybe in somebody's trace; None where nothing is recorded."""
    if _State.tracer is None:
        return nullcontext()
    return _State.tracer.span(name, parent, "server", attributes)


def note(name: str, began_ns: int, links: Iterable[Trace] = (), attributes: Attributes = _NOTHING) -> None:
    """Something done for many at once, which is in none of their traces."""
    if _State.tracer is not None:
        _State.tracer.note(name, began_ns, links, attributes)


def close() -> None:
    """Hand on what was recorded, and record no more."""
    tracer, _State.tracer = _State.tracer, None
    if tracer is not None:
        tracer.close()
