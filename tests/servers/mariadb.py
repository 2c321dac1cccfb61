"""A real MariaDB, started in half a second: the machine's own, or else the one of Debian's package.

Each server has a directory of its own and listens on a unix socket in it.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
from pathlib import Path

import pymysql

from tests.servers.debian import libraries, unpacked
from tests.servers.leashed import LeashedServer

_PACKAGE = "mariadb-server-core"


class MariadbServer(LeashedServer):
    """One server on fresh, temporary data, which needs no password and has no network."""

    def __init__(self) -> None:
        super().__init__("MariaDB")
        self._socket = self.directory / "socket"
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
        self.run(command, libraries(program.parents[2]))

    @property
    def address(self) -> str:
        """Its socket."""
        return str(self._socket)

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

    def _execute(self, statement: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)


def _program() -> Path:
    """MariaDB's server: the machine's own, else one that was unpacked."""
    installed = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return Path(installed) if installed else unpacked(_PACKAGE) / "usr" / "sbin" / "mariadbd"
