"""Publishing in tests: what is published is kept, and Kanca's database is not opened for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from kanca.domain.event import NewEvent
from kanca.domain.ids import EVENT, show_id
from kanca.errors import EventIdTaken
from kanca.outbound.publishing import says_the_same


class Capture:
    """Takes what is published without a connection, as the database would: an id of one's own names one event."""

    def __init__(
        self, keep: Callable[[NewEvent], object], loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        """``keep`` gets each event once. ``loop`` is the one that handlers run in: no place for ``publish_sync``."""
        self.loop = loop
        self._keep = keep
        self._events: list[NewEvent] = []

    def take(self, event: NewEvent) -> str:
        """Keep the event, and give its id or that of the one it repeats. Raises EventIdTaken."""
        key = event.dedupe_key
        original = next((each for each in self._events if key is not None and each.dedupe_key == key), None)
        if original is None:
            self._events.append(event)
            self._keep(event)
            return show_id(EVENT, event.id)
        if not says_the_same(event, original):
            raise EventIdTaken
        return show_id(EVENT, original.id)


_here: ContextVar[Capture | None] = ContextVar("kanca_capture", default=None)
_entered: list[Capture] = []


def capture() -> Capture | None:
    """What takes the events that the code that asks publishes, if anything does.

    In a thread without a context of its caller's it is what was entered last: a test must not open a database there,
    either.
    """
    return _here.get() or (_entered[-1] if _entered else None)


@contextmanager
def capturing(taking: Capture) -> Iterator[None]:
    """Have ``taking`` take what anybody in this process publishes while it is entered.

    Fixtures enter it in one context and leave it in another, so it keeps nothing in that.
    """
    _entered.append(taking)
    try:
        yield
    finally:
        _entered.remove(taking)


@contextmanager
def capturing_here(taking: Capture) -> Iterator[None]:
    """Have ``taking`` take what the body and what it starts publish, whatever else is captured at the same time."""
    token = _here.set(taking)
    try:
        with capturing(taking):
            yield
    finally:
        _here.reset(token)
