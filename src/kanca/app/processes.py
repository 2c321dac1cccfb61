"""What the supervisor hands to its children, and how a child uses it.

Everything travels as inherited file descriptors, named in the environment:

``KANCA_LISTEN_FD``      the listening socket that all gateways share, so that a gateway's restart refuses nobody
``KANCA_LIFELINE_FD``    a pipe that ends when the supervisor does, however it ends: children then stop at once
``KANCA_READY_FD``       a pipe into which a child writes a line once it works, and later every second that it lives
``KANCA_WAKE_READ_FD``, ``KANCA_WAKE_WRITE_FD``   the pipe on which gateways wake workers (see ``Database.waker``)

``KANCA_PREDECESSOR`` is the number of the worker that died in a child's place.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import uvloop

LISTEN_FD = "KANCA_LISTEN_FD"
LIFELINE_FD = "KANCA_LIFELINE_FD"
READY_FD = "KANCA_READY_FD"
WAKE_READ_FD = "KANCA_WAKE_READ_FD"
WAKE_WRITE_FD = "KANCA_WAKE_WRITE_FD"
PREDECESSOR = "KANCA_PREDECESSOR"

ALIVE = "alive"
DONE = "done"
"""What a child says besides that it works."""
WHERE_SIGNAL = signal.SIGUSR2
"""Has a child write to standard error what each of its threads is at."""
BEAT_S = 1.0
"""How often a child says that its event loop turns."""

CONFIGURATION_EXIT = 78
"""A child that ends with this (EX_CONFIG of sysexits.h) would end so again: the supervisor stops too."""


class Stop:
    """A request to stop: ``requested`` once, ``hurried`` when it was said twice or the supervisor is gone."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.hurried = asyncio.Event()

    def ask(self) -> None:
        """Stop in good order; the second time, at once."""
        (self.hurried if self.requested.is_set() else self.requested).set()

    def insist(self) -> None:
        """Stop at once."""
        self.requested.set()
        self.hurried.set()


def run_child(name: str, main: Callable[[Stop], Coroutine[Any, Any, None]]) -> None:
    """Run the ``main`` of the child called ``name`` on an event loop that listens to signals and the lifeline."""
    # Before it kills a child that hangs, the supervisor asks it where it hangs.
    faulthandler.register(WHERE_SIGNAL, file=2, all_threads=True)
    # What is loaded by now stays: it need not be looked at again. And these processes make many short-lived objects,
    # few of them in cycles: looking through them as often as Python does by default cost 8 of the 65 µs of an event.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)

    async def listen_and_run() -> None:
        stop = Stop()
        loop = asyncio.get_running_loop()

        def lose_supervisor(lifeline: int) -> None:
            loop.remove_reader(lifeline)  # the end of a pipe can be read again and again
            stop.insist()

        # A terminal sends SIGINT to the whole group; the supervisor turns it into SIGTERM for its children.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        loop.add_signal_handler(signal.SIGTERM, stop.ask)
        if lifeline := os.environ.get(LIFELINE_FD):
            loop.add_reader(int(lifeline), lose_supervisor, int(lifeline))
        beating = asyncio.create_task(_beat(name))
        try:
            await main(stop)
        finally:
            beating.cancel()

    uvloop.run(listen_and_run())


async def _beat(name: str) -> None:
    while True:
        say_alive(name)
        await asyncio.sleep(BEAT_S)


def say_ready(name: str, worker: int | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the supervisor that this child works, and the number of the worker that it is."""
    _say(f"{name} {'' if worker is None else worker}", environ)


def say_done(name: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the supervisor that this gateway has answered everything: when all have, nobody need come any more."""
    _say(f"{name} {DONE}", environ)


def say_alive(name: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the supervisor that this child's event loop turns."""
    _say(f"{name} {ALIVE}", environ)


def _say(line: str, environ: Mapping[str, str]) -> None:
    if descriptor := environ.get(READY_FD):
        with suppress(OSError):  # it is gone, or does not read: nobody waits for that
            os.write(int(descriptor), f"{line}\n".encode())


def predecessor(environ: Mapping[str, str] = os.environ) -> int | None:
    """The number of the worker that died in this child's place."""
    number = environ.get(PREDECESSOR, "")
    return int(number) if number.isdecimal() else None
