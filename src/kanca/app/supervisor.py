"""The supervisor: starts gateways and workers, restarts those that die, and stops all of them in good order.

It serves nothing and opens no database, so there is little that could end it. A child that dies is started again, after
a growing delay when it keeps dying young. A child that hangs is killed, which is to die.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from kanca.app.processes import (
    ALIVE,
    BEAT_S,
    CONFIGURATION_EXIT,
    DONE,
    LIFELINE_FD,
    LISTEN_FD,
    PREDECESSOR,
    READY_FD,
    WAKE_READ_FD,
    WAKE_WRITE_FD,
    WHERE_SIGNAL,
)
from kanca.errors import InvalidSetting
from kanca.telemetry.metrics import PROCESS_NAME

log = structlog.get_logger(__name__)

YOUNG = timedelta(seconds=10)
"""A child that dies younger than this is restarted with a delay."""
LONGEST_DELAY = timedelta(seconds=15)
KILL_MARGIN = timedelta(seconds=5)
"""How much longer than its own limit a stopping child is given before it is killed."""
CONFESSION = timedelta(seconds=1)
"""How long a child that hangs has to write where, before it is killed."""
LIVE = timedelta(seconds=15)
"""A supervisor whose own loop stood still for longer is not alive."""
BIND_PATIENCE = timedelta(seconds=10)
"""How long to wait for an address that children of a killed predecessor still hold."""


def restart_delay(age: timedelta, deaths_in_youth: int) -> timedelta:
    """How long to wait before a child that died at ``age`` is started again: at once, unless it keeps dying young."""
    if age >= YOUNG or deaths_in_youth <= 1:
        return timedelta(0)
    return min(timedelta(seconds=0.5 * 2 ** min(deaths_in_youth - 2, 16)), LONGEST_DELAY)


def hangs(silent_s: float, own_pause_s: float, limit: timedelta) -> bool:
    """Whether a child hangs that was silent for so long, where whoever asks did not look for ``own_pause_s`` himself.

    A machine that stood still (or a group of processes that somebody halted) says nothing about its processes.
    """
    return bool(limit) and silent_s >= limit.total_seconds() and not _stood_still(own_pause_s, limit)


def _stood_still(own_pause_s: float, limit: timedelta) -> bool:
    return own_pause_s >= BEAT_S + limit.total_seconds() / 2


async def bind(host: str, port: int, patience: timedelta = BIND_PATIENCE) -> socket.socket:
    """A listening socket. Raises InvalidSetting when the address cannot be had."""
    give_up_at = time.monotonic() + patience.total_seconds()
    while True:
        try:
            family, *_, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.create_server(address, family=family, backlog=1024)
        except OSError as error:
            if time.monotonic() >= give_up_at:
                raise InvalidSetting(f"cannot listen on {host}:{port}: {error.strerror}") from None
            await asyncio.sleep(0.1)
        else:
            listener.setblocking(False)
            return listener


@dataclass(slots=True)
class Child:
    """One process to keep alive."""

    name: str
    module: str
    deaths_in_youth: int = 0
    worker: str = ""
    """The number of the worker that it is, or was before it died."""
    process: asyncio.subprocess.Process | None = None
    heard_at: float | None = None
    """When its event loop was last known to turn; None until it said so for the first time."""
    is_done: bool = False
    """It is a gateway that has answered everything."""
    is_at_work: bool = False
    """It has said that it works since it was started."""


@dataclass
class Supervisor:
    """Keeps ``gateways`` and ``workers`` processes alive until it is told to stop."""

    gateways: int
    workers: int
    listener: socket.socket | None
    shutdown: timedelta
    environ: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    on_ready: Callable[[], None] = lambda: None
    """Called once, when every child said for the first time that it works."""
    watchdog: timedelta = timedelta(0)
    """How long a child's event loop may stand still before the child is killed; 0: for ever."""
    on_death: Callable[[str], None] = lambda _name: None
    """Called with the name of a child that has ended, before another one takes its place."""
    gateway_module: str = "kanca.app.gateway_process"
    worker_module: str = "kanca.app.worker_process"

    def __post_init__(self) -> None:
        self._children = [Child(f"gateway-{n + 1}", self.gateway_module) for n in range(self.gateways)]
        self._children += [Child(f"worker-{n + 1}", self.worker_module) for n in range(self.workers)]
        self._stopping = asyncio.Event()
        self._exit_code = 0
        self._waiting_for = {child.name for child in self._children}
        self._inherited: list[int] = []
        self._looked_at = time.monotonic()

    @property
    def is_live(self) -> bool:
        """Whether it does what it is there for. May be asked in any thread."""
        return time.monotonic() - self._looked_at < LIVE.total_seconds()

    @property
    def is_ready(self) -> bool:
        """Whether every child works, and none is asked to stop. May be asked in any thread."""
        return not self._stopping.is_set() and all(each.is_at_work and _runs(each) for each in self._children)

    async def run(self) -> int:
        """Start everything and stay until a signal; gives the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        self._open_descriptors()
        watching = asyncio.create_task(self._watch())
        await asyncio.gather(*(self._keep_alive(child) for child in self._children))
        watching.cancel()
        return self._exit_code

    def _open_descriptors(self) -> None:
        lifeline, self._lifeline_end = os.pipe()
        self._ready, ready = os.pipe()
        wake_read, wake_write = os.pipe()
        for descriptor in (self._ready, ready, wake_read, wake_write):
            os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(self._ready, self._hear_ready)
        names = {LIFELINE_FD: lifeline, READY_FD: ready, WAKE_READ_FD: wake_read, WAKE_WRITE_FD: wake_write}
        if self.listener is not None:
            names[LISTEN_FD] = self.listener.fileno()
        self._inherited = list(names.values())
        self.environ |= {name: str(descriptor) for name, descriptor in names.items()}

    def _hear_ready(self) -> None:
        # As much as a pipe holds, so that no line is cut.
        for line in os.read(self._ready, 65536).decode().splitlines():
            name, _, said = line.partition(" ")
            for child in self._children:
                if child.name == name:
                    self._hear(child, said)

    def _hear(self, child: Child, said: str) -> None:
        if said == ALIVE:
            child.heard_at = time.monotonic()
        elif said == DONE:
            child.is_done = True
            self._let_nobody_come()
        else:
            child.is_at_work = True
            child.worker = said
            if child.name in self._waiting_for:
                self._waiting_for.discard(child.name)
                if not self._waiting_for:
                    self.on_ready()

    def _let_nobody_come(self) -> None:
        """Close the door when all gateways have answered everything: who comes now is refused, and not let down."""
        gateways = [child for child in self._children if child.module == self.gateway_module]
        is_over = all(each.is_done or not _runs(each) for each in gateways)
        if self.listener is not None and self._stopping.is_set() and is_over:
            with suppress(OSError):  # systems differ in whether this can be said of a listener
                self.listener.shutdown(socket.SHUT_RDWR)

    async def _watch(self) -> None:
        """Kill children that hang."""
        self._looked_at = time.monotonic()
        while True:
            await asyncio.sleep(BEAT_S)
            now = time.monotonic()
            own_pause_s, self._looked_at = now - self._looked_at, now
            for child in self._children:
                if child.heard_at is None or not _runs(child):
                    continue
                silent_s = now - child.heard_at
                if hangs(silent_s, own_pause_s, self.watchdog):
                    await self._kill_hanging(child, silent_s)
                elif _stood_still(own_pause_s, self.watchdog):
                    child.heard_at = now

    async def _kill_hanging(self, child: Child, silent_s: float) -> None:
        process = child.process
        if process is None:
            return
        child.heard_at = None
        log.error("child_hangs", child=child.name, pid=process.pid, silent_s=round(silent_s, 1))
        with suppress(ProcessLookupError):
            process.send_signal(WHERE_SIGNAL)
            await asyncio.sleep(CONFESSION.total_seconds())
            process.kill()

    async def _keep_alive(self, child: Child) -> None:
        while not self._stopping.is_set():
            started_at = time.monotonic()
            child.heard_at, child.is_at_work = None, False
            code = await self._run(child)
            self.on_death(child.name)
            if self._stopping.is_set():
                return
            # Later the same may have passing causes, and whatever still runs is worth keeping.
            if code == CONFIGURATION_EXIT and child.name in self._waiting_for:
                self._exit_code = CONFIGURATION_EXIT
                self._stop()
                return
            age = timedelta(seconds=time.monotonic() - started_at)
            child.deaths_in_youth = child.deaths_in_youth + 1 if age < YOUNG else 0
            delay = restart_delay(age, child.deaths_in_youth)
            log.error("child_died", child=child.name, exit_code=code, restart_in_s=delay.total_seconds())
            await self._stops_within(delay)

    async def _run(self, child: Child) -> int | None:
        """Start a child and wait for its end; gives its exit code, None when it could not be started."""
        try:
            child.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                child.module,
                child.name,
                env={**self.environ, PREDECESSOR: child.worker, PROCESS_NAME: child.name},
                pass_fds=self._inherited,
            )
        except OSError as error:
            log.warning("child_not_started", child=child.name, error=str(error))
            return None
        if self._stopping.is_set():
            child.process.terminate()  # it was not there yet when the others were told
        return await self._wait(child.process)

    async def _stops_within(self, delay: timedelta) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), delay.total_seconds())
        except TimeoutError:
            return

    async def _wait(self, process: asyncio.subprocess.Process) -> int:
        """The exit code of a child; once stopping, it is killed when it does not end in time."""
        ended = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            limit = (self.shutdown + KILL_MARGIN).total_seconds()
            await asyncio.wait({ended}, timeout=limit)
            if not ended.done():
                log.error("child_killed", pid=process.pid, after_s=limit)
                process.kill()
        return await ended

    def _stop(self) -> None:
        """Ask every child to stop; asked twice, the children hurry."""
        self._stopping.set()
        for child in self._children:
            if child.process is not None and _runs(child):
                child.process.terminate()


def _runs(child: Child) -> bool:
    return child.process is not None and child.process.returncode is None
