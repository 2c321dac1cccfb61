"""Wake-ups between the processes of one machine: a pipe that the supervisor made and all its children inherited."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress

from kanca.storage.waking import Bell

READ_FD = "KANCA_WAKE_READ_FD"
WRITE_FD = "KANCA_WAKE_WRITE_FD"
"""The environment variables that name the pipe's ends. Without them there is only this process."""


class PipeMessenger:
    """Writes a byte into the pipe to wake, and rings the bell when there is one to read.

    Whoever reads first takes all bytes that are there, so one wake-up may wake one process only: a worker that finds
    more than it can do at once wakes again.
    """

    def __init__(self, bell: Bell, environ: Mapping[str, str]) -> None:
        self._bell = bell
        self._read_fd = _descriptor(environ, READ_FD)
        self._write_fd = _descriptor(environ, WRITE_FD)
        self._is_listening = False

    def send(self) -> None:
        """Write a byte; a full pipe is one that will be read."""
        if self._write_fd is not None:
            with suppress(OSError):
                os.write(self._write_fd, b"\0")

    def listen(self) -> None:
        """Watch the reading end."""
        if self._read_fd is not None and not self._is_listening:
            asyncio.get_running_loop().add_reader(self._read_fd, self._hear, self._read_fd)
            self._is_listening = True

    async def close(self) -> None:
        """Stop watching. The descriptors stay open: they are the process's, not the database's."""
        self._stop_listening()

    def _hear(self, read_fd: int) -> None:
        try:
            is_over = os.read(read_fd, 65536) == b""
        except BlockingIOError:
            # Another process was first; this one was woken all the same.
            is_over = False
        except OSError:
            is_over = True
        if is_over:
            self._stop_listening()
        self._bell.ring()

    def _stop_listening(self) -> None:
        if self._is_listening and self._read_fd is not None:
            asyncio.get_running_loop().remove_reader(self._read_fd)
            self._is_listening = False
            self._read_fd = None


def _descriptor(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name, "")
    if not text.isdecimal():
        return None
    os.set_blocking(int(text), False)
    return int(text)
