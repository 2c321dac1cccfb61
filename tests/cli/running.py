"""Commands that go on running, started as a user starts them."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

LIMIT_S = 60
"""The longest that anything here may take."""


class RunningCommand:
    """``kanca …`` in a directory and a process group of its own; what is left of it is killed at the end."""

    def __init__(self, directory: Path, *words: str, **environ: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("KANCA_")}
        self._log = directory / "stderr.txt"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kanca", *words],
                cwd=directory,
                env={**inherited, **environ},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self.output = ""

    def wait_for(self, words: str) -> str:
        """All that the command has said, once ``words`` are part of it. Raises AssertionError when it does not come."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + LIMIT_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while words not in self.output:
                is_readable = selector.select(max(0, deadline - time.monotonic()))
                chunk = os.read(self._process.stdout.fileno(), 65_536) if is_readable else b""
                assert chunk, f"{words!r} is not in\n{self.output}\n{self.errors()[-4000:]}"
                self.output += chunk.decode()
        return self.output

    def interrupt(self) -> int:
        """Do what Ctrl-C does; gives the command's exit code."""
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(LIMIT_S)

    def errors(self) -> str:
        """What it wrote to standard error."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(LIMIT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
