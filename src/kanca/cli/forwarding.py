"""Sending a received event on to a local address, as it came."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kanca.cli.http import call
from kanca.cli.server import Server
from kanca.errors import Conflict, NotFound, Unavailable

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
LATE_S = 10
"""Who is less behind is not told so."""

_NOT_FORWARDED = frozenset(
    {
        # Of one connection (RFC 9110, section 7.6.1).
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        # Made anew; a coding was taken off when the event came in.
        "host",
        "content-length",
        "content-encoding",
        "expect",
    }
)


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What became of one event."""

    event_id: str
    event_type: str
    received_at: str
    status: int | None
    """What was answered; None when it was skipped."""
    duration_ms: float


class Forwarder:
    """Sends events on, one after the other, each until it is taken."""

    def __init__(
        self,
        server: Server,
        url: str,
        say: Callable[[str], None],
        *,
        skips_failed: bool,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._server = server
        self._url = url
        self._say = say
        self._skips_failed = skips_failed
        self._pause = pause

    def forward(self, event: Mapping[str, Any]) -> Forwarded:
        """Send an event, as a tail shows it with its request. Tries again until it is taken, unless that is skipped.

        Raises what the server refuses.
        """
        event_id = event["id"]
        begun = time.monotonic()
        status = None
        body = self._body(event_id)
        if body is not None:
            headers = forwarded_headers(event["request_headers"]) | {"X-Kanca-Event-Id": event_id}
            method = event["request_method"] or "POST"
            pause_s = FIRST_PAUSE_S
            while True:
                begun = time.monotonic()
                status, trouble = self._try(method, headers, body)
                if trouble is None or self._skips_failed:
                    break
                self._say(f"{trouble} Trying {event_id} again in {pause_s:g} s.")
                self._pause(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        taken_ms = (time.monotonic() - begun) * 1000
        return Forwarded(event_id, event["event_type"], event["received_at"], status, taken_ms)

    def _try(self, method: str, headers: Mapping[str, str], body: bytes) -> tuple[int | None, str | None]:
        """The answer's status, and a sentence when the event was not taken."""
        try:
            status = call(method, self._url, headers, body).status
        except Unavailable:
            return None, f"{self._url} does not answer."
        return status, f"{self._url} answered {status}." if is_worth_another_try(status) else None

    def _body(self, event_id: str) -> bytes | None:
        """The exact bytes; None when they are not kept any more."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return self._server.get("api", "events", event_id, "body").body
            except (NotFound, Conflict):  # retention has taken the event, or somebody its payload
                self._say(f"{event_id} is not kept any more, and is left out.")
                return None
            except Unavailable as error:
                self._say(f"{error.detail} Trying again in {pause_s:g} s.")
                self._pause(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def forwarded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that a receiver behind a proxy would see, and those that ``Connection`` names left out too."""
    named = {
        part.strip().lower()
        for name, value in headers.items()
        if name.lower() == "connection"
        for part in value.split(",")
    }
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_FORWARDED | named}


def is_worth_another_try(status: int) -> bool:
    """Whether a receiver that answered so may take the event later: what it refuses (4xx) it refuses again."""
    return status >= 500 or status in {408, 425, 429}


def behind(received_at: str, now: float) -> str | None:
    """How long ago an event came in, for people; None when that is next to nothing."""
    seconds = int(now - datetime.fromisoformat(received_at).timestamp())
    if seconds < LATE_S:
        return None
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
