"""A real MariaDB, started in half a second: the machine's own, or else the one of Debian's package.

Each server has a directory of its own and listens on a unix socket in it. It never outlives the process that started
it: a leash (see ``_LEASH``) ends it even after ``kill -9``.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import pymysql

from tests.servers.debian import unpacked

_PACKAGE = "mariadb-server-core"
_LIMIT_S = 60
"""How long a server may take to start or to end."""

# MariaDB takes the place of this shell. A reader stays behind on the shell's standard input, which the starting process
# holds open: a line means that all is well; the end without a line means that the starter is gone.
_LEASH = """
exec 3<&0
directory=$1; shift
{ read -r released || { kill -KILL $$; rm -rf "$directory"; }; } <&3 >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
"""


class MariadbServer:
    """One server on fresh, temporary data, which needs no password and has no network.

    A context manager: started on the way in, closed on the way out.
    """

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="kanca-mariadb-"))
        self._socket = self.directory / "socket"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def start(self) -> None:
        """Start the server and return once it answers.

        Raises RuntimeError when there is none to be had, or with the end of its log when it does not come up.
        """
        program = _program()
        base = program.parents[1]
        share = (
            base / "share" / ("mariadb" if (base / "share" / "mariadb" / "charsets").exists() else "mysql")
        )
        options = {
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            "datadir": self.directory / "data",
            "socket": self._socket,
            "pid-file": self.directory / "pid",
            "basedir": base,
            "lc-messages-dir": share,
            "character-sets-dir": share / "charsets",
            "innodb-log-file-size": "8M",
            "innodb-buffer-pool-size": "32M",
            "innodb-flush-log-at-trx-commit": "2",  # survives a kill; only a power cut would lose data
        }
        # Without tables of users nothing has to be made first: the folder of the data may be empty.
        flags = ["--no-defaults", "--skip-networking", "--skip-grant-tables"]
        command = [str(program), *flags, *(f"--{name}={value}" for name, value in options.items())]
        (self.directory / "data").mkdir(exist_ok=True)
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LEASH, "leash", str(self.directory), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, _libraries(program.parents[2])))},
                start_new_session=True,  # Ctrl-C is meant for the tests
            )
        self._wait_until_ready(self._process)

    def url(self, database: str) -> str:
        """Say where a database is, as SQLAlchemy reads it."""
        return f"mysql+pymysql://root@/{database}?unix_socket={self._socket}"

    def create_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"kanca_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database. One that does not exist is fine."""
        self._execute(f"DROP DATABASE IF EXISTS {name}")

    def connect(self, database: str | None = None) -> pymysql.Connection:
        """Open a connection of PyMySQL's."""
        return pymysql.connect(unix_socket=str(self._socket), user="root", database=database)

    def close(self) -> None:
        """End the server and remove its data. May be called again."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.communicate(b"released\n", timeout=_LIMIT_S)
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

    def _execute(self, statement: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _LIMIT_S
        while process.poll() is None and time.monotonic() < deadline:
            if self._takes_connections():
                return
            time.sleep(0.02)  # it says so nowhere else
        log = (self.directory / "server.log").read_text(errors="replace")
        self.close()
        raise RuntimeError(f"MariaDB did not start:\n{log[-2000:]}")

    def _takes_connections(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            return attempt.connect_ex(str(self._socket)) == 0


def _program() -> Path:
    """MariaDB's server: the machine's own, else one that was unpacked."""
    installed = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Path(installed) if installed else unpacked(_PACKAGE) / "usr" / "sbin" / "mariadbd"


def _libraries(root: Path) -> list[Path]:
    """The folders of what was unpacked beside the server; none for one that is installed."""
    return [] if root == Path("/") else [*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu")]
