"""A server's live tail, read for as long as one likes: connections that end are made again where they ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kanca.cli.http import streamed
from kanca.cli.server import Server
from kanca.errors import InvalidInput, KancaError, TooManyRequests, Unauthenticated, Unavailable

SILENCE_S = 45.0
"""A server says something every 15 s."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
TAIL = ("api", "tail")

Pause = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Message:
    """What a tail says."""

    kind: str
    """``event``, ``outcome``, ``rejection``, ``gap``; or ``place``: nothing but from where to go on."""
    data: Any
    place: str | None
    """Where to go on after this message; None when it has none of its own."""


class Tail:
    """A tail of a server, from ``place`` on (None: from where ``query`` says, else from now on)."""

    def __init__(
        self,
        server: Server,
        query: Mapping[str, object],
        place: str | None,
        say: Callable[[str], None],
        pause: Pause = time.sleep,
    ) -> None:
        """``say`` is told, in a sentence, of trouble that passes by itself."""
        self._server = server
        self._query = query
        self._place = place
        self._say = say
        self._pause = pause
        self._pause_s = FIRST_PAUSE_S
        self._has_begun = False

    def messages(self) -> Iterator[Message]:
        """What it says, without end where it follows. Raises what the server refuses it with.

        A server that was never reached raises Unavailable; one that was is waited for.
        """
        while True:
            try:
                yield from self._connection()
            except (Unavailable, TooManyRequests) as error:
                if not self._has_begun:
                    raise
                self._say(f"{error.detail} Trying again in {self._pause_s:g} s.")
            else:
                if self._query.get("follow") == "false":
                    return
            self._pause(self._pause_s)
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _connection(self) -> Iterator[Message]:
        headers = self._server.headers("text/event-stream")
        if self._place is not None:
            headers["Last-Event-ID"] = self._place
        address = self._server.address(TAIL, self._query)
        try:
            with streamed(address, headers, SILENCE_S) as lines:
                for message in read_messages(lines):
                    self._has_begun, self._pause_s = True, FIRST_PAUSE_S
                    self._place = message.place or self._place
                    yield message
        except Unauthenticated:
            if self._server.key:
                raise
            raise Unauthenticated("The server wants a key: give --key, or set KANCA_ADMIN_KEY.") from None


def read_messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """The messages of an event stream (the HTML standard, section 9.2). One that is cut off is none.

    Raises KancaError for what is no JSON, InvalidInput for a stream that is none.
    """
    kind, place, data = "message", None, list[str]()
    for line in lines:
        if not line.endswith(b"\n"):
            return  # cut off
        name, _, value = line.decode(errors="replace").rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "" if value:
                continue  # a comment, which begins with the colon
            case "id":
                place = value
            case "event":
                kind = value
            case "data":
                data.append(value)
            case "":
                if data:
                    yield Message(kind, _json("\n".join(data)), place)
                elif place is not None:
                    yield Message("place", None, place)
                kind, place, data = "message", None, []
            case _:
                raise InvalidInput("What answers there is no Kanca server, or another version.")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise KancaError("The server sent a message that is no JSON that can be read.") from None
