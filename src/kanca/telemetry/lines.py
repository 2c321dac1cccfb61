"""One wide line in the log for each request and each attempt of work: all that one wants to know of it, in one place.

There may be ten thousand in a second, so they are not written like other lines: fields go straight into JSON, and what
comes together is written together, a twentieth of a second later at most. What goes wrong is written as ``warning``,
all else as ``info``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from kanca.telemetry.line_bounds import WINDOW_S, LineBound

WEBHOOK: Final = "webhook"
"""A request of a sender."""
REQUEST: Final = "request"
"""A request to the management API."""
ATTEMPT: Final = "attempt"
"""An attempt of work."""
LEFT_OUT: Final = "lines_left_out"
"""What a bound has kept back: ``of`` which lines, with which code, and how many."""

FLUSH_S = 0.05
FLUSH_BYTES = 64 * 1024

Fields = Mapping[str, Any]
Write = Callable[[str, Fields, bool], None]
"""Is given what it is, its fields, and whether it went wrong."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


def _nowhere(_event: str, _fields: Fields, _is_wrong: bool) -> None: ...


class Lines:
    """Where lines of this process go."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.are_all = False
        """Whether lines of what went well are wanted. Asked before anything is put together."""
        self.are_any = False
        """Whether lines of what went wrong are."""
        self._write: Write = _nowhere
        self._flush: Callable[[], None] = lambda: None
        self._bound: LineBound | None = None
        self._telling: asyncio.TimerHandle | None = None

    def configure(self, wanted: str, write: Write, flush: Callable[[], None] = lambda: None) -> None:
        """``wanted``: ``all``, ``errors`` (of those that are alike only so many at a time) or ``off``."""
        self.are_all, self.are_any = wanted == "all", wanted != "off"
        self._bound = LineBound(self._monotonic) if wanted == "errors" else None
        self._write, self._flush = write, flush

    def write(self, event: str, fields: Fields, *, is_wrong: bool = False) -> None:
        """Write a line, if such lines are wanted. Fields that are None are left out."""
        if self.are_all or (is_wrong and self.are_any and self._is_within_bound(event, fields)):
            self._write(event, fields, is_wrong)

    def flush(self) -> None:
        """Write what is still to be written."""
        self._tell_what_was_left_out()
        self._flush()

    def _is_within_bound(self, event: str, fields: Fields) -> bool:
        if self._bound is None:
            return True
        if self._bound.is_over:
            self._tell_what_was_left_out()
        is_within = self._bound.lets_through(event, fields)
        if not is_within and self._telling is None:
            # Also when nothing goes wrong any more.
            self._telling = _later(self._tell_what_was_left_out, WINDOW_S)
        return is_within

    def _tell_what_was_left_out(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        for about in self._bound.left_out() if self._bound else ():
            self._write(LEFT_OUT, about, True)


lines: Final = Lines()
"""Those of this process."""


class JsonLines:
    """Writes lines as JSON, many at once."""

    def __init__(self, process: str, write: Callable[[bytes], object]) -> None:
        """``write`` takes whole lines."""
        self._process = process
        self._write = write
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, event: str, fields: Fields, is_wrong: bool) -> None:
        """Write a line, soon."""
        about = {
            "timestamp": datetime.now(UTC),
            "level": "warning" if is_wrong else "info",
            "event": event,
            "process": self._process,
            **fields,
        }
        line = _json({name: value for name, value in about.items() if value is not None}) + b"\n"
        self._waiting.append(line)
        self._bytes += len(line)
        if self._bytes >= FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = _later(self.flush, FLUSH_S)
            if self._timer is None:
                self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        if waiting:
            self._write(b"".join(waiting))


def _json(line: dict[str, Any]) -> bytes:
    try:
        return _encode(line)
    except UnicodeEncodeError:  # half of a character is no UTF-8, but JSON can say it as an escape
        return json.dumps(line, default=_said).encode()


def _said(value: object) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else str(value)


def _later(call: Callable[[], None], after_s: float) -> asyncio.TimerHandle | None:
    """Have it called then, where there is an event loop."""
    try:
        return asyncio.get_running_loop().call_later(after_s, call)
    except RuntimeError:
        return None


def through_structlog(event: str, fields: Fields, is_wrong: bool) -> None:
    """Write a line as all others are written: for people at a terminal, and in somebody else's app."""
    log = structlog.get_logger("kanca")
    known = {name: value for name, value in fields.items() if value is not None}
    log.log(logging.WARNING if is_wrong else logging.INFO, event, **known)


def at_level(wanted: str, level: int) -> str:
    """What remains of ``wanted`` where only lines from ``level`` on are written."""
    if level > logging.WARNING:
        return "off"
    return "errors" if level > logging.INFO and wanted == "all" else wanted
