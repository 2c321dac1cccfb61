"""A server that is started for tests, and never outlives the process that started it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self

_LIMIT_S = 60
"""How long a server may take to start or to end."""
_LOOKS_S = 0.01

# The server takes the place of this shell. A reader stays behind on the shell's standard input, which the starting
# process holds open: a line means that all is well; the end without a line means that the starter is gone, even after
# ``kill -9``, and then the server and its directory go too.
_LEASH = """
exec 3<&0
directory=$1; shift
{ read -r released || { kill -KILL $$; rm -rf "$directory"; }; } <&3 >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
"""


class LeashedServer(ABC):
    """A server with a temporary directory of its own.

    A context manager: started on the way in, closed on the way out.
    """

    def __init__(self, name: str) -> None:
        """``name`` is what people call it."""
        self.directory = Path(tempfile.mkdtemp(prefix=f"kanca-{name.lower()}-"))
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self) -> None:
        """Start the server, and return once it takes connections. Raises RuntimeError when it does not come up."""

    @property
    @abstractmethod
    def address(self) -> str | tuple[str, int]:
        """Its socket: a path, or host and port."""

    def kill(self) -> None:
        """Kill the server with SIGKILL, if it runs; return when it is gone."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.communicate(b"released\n", timeout=_LIMIT_S)

    def close(self) -> None:
        """End the server and remove its directory. May be called again."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, command: Sequence[str], libraries: Sequence[Path] = (), user: str | None = None) -> None:
        """Start a program as the server, for ``start``. ``libraries``: folders of what it is linked with."""
        path = {"LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))} if libraries else {}
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LEASH, "leash", str(self.directory), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=user,
                env=os.environ | path,
                start_new_session=True,  # Ctrl-C is meant for the tests
            )
        deadline = time.monotonic() + _LIMIT_S
        while not self._takes_connections():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                said = (self.directory / "server.log").read_text(errors="replace")
                raise RuntimeError(f"{self._name} did not start:\n{said[-2000:]}")
            time.sleep(_LOOKS_S)  # it says so nowhere else

    def _takes_connections(self) -> bool:
        address = self.address
        with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as attempt:
            return attempt.connect_ex(address) == 0
