"""The event as a handler sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


Pairs = Iterable[tuple[str, str]]


class Headers(Mapping[str, str]):
    """HTTP headers. Names are found in any case; the values of a repeated name are joined with ``, ``."""

    __slots__ = ("_pairs", "_values")

    def __init__(self, pairs: Pairs | Callable[[], Pairs] = ()) -> None:
        """Keep ``pairs`` of name and value as they came, or what gives them when somebody looks at a header."""
        self._pairs = pairs
        self._values: dict[str, str] | None = None

    def _read(self) -> dict[str, str]:
        # Most handlers never look at a header, so the mapping is made when the first one does.
        if self._values is None:
            values: dict[str, str] = {}
            for name, value in self._pairs() if callable(self._pairs) else self._pairs:
                key = name.lower()
                values[key] = f"{values[key]}, {value}" if key in values else value
            self._values = values
        return self._values

    def __getitem__(self, name: str) -> str:
        return self._read()[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return f"Headers({self._read()!r})"


class Event(msgspec.Struct, Generic[T], frozen=True):
    """One event, for one attempt of one handler."""

    id: str
    """``evt_…``: the same for every handler and every attempt."""
    type: str
    data: T
    """An envelope's ``data``, else what the body says, read as the handler's ``model`` when it has one.

    None for a binary body without a model.
    """
    body: bytes
    """The exact bytes that came in, without their Content-Encoding."""
    headers: Headers
    """The HTTP headers it came with. Empty for published events."""
    endpoint_id: str | None
    """``wh_…``, or None for published events."""
    provider: str | None
    tenant: str
    source_event_id: str | None
    """The sender's own id of the event."""
    correlation_id: str
    received_at: datetime
    attempt_number: int
    """1 for the first attempt. An attempt that a crash cut short may run again under the same number."""
    call_id: str
    """``call_…``: stable over all attempts of this handler with this event, so that others can deduplicate by it."""
    trace_headers: Headers = Headers()
    """``traceparent`` and ``tracestate``: for requests that the handler makes, so that they are in the trace."""
