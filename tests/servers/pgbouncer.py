"""A real PgBouncer in transaction mode: the machine's own, or else the one of Debian's package.

No test of the suite needs it: ``python -m scripts.pgbouncer`` runs tests through it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.servers.debian import unpacked

_LIMIT_S = 20
_PORT = 5432
_LEASH = 'exec 3<&0; (read -r released <&3 || kill -KILL $$) >/dev/null 2>&1 & exec "$@" </dev/null 3<&-'
_CONFIGURATION = """
[databases]
* = host={host} user=postgres connect_query='{connect_query}'

[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {directory}
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 2000
"""

CONNECT_QUERY = (
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_mergejoin = off; SET jit = off;"
    " SET timezone = UTC; SET statement_timeout = 30000; SET lock_timeout = 30000;"
    " SET idle_in_transaction_session_timeout = 60000"
)
"""What docs/guides/scaling.md advises for each connection of the pooler's."""


class PgBouncer:
    """One PgBouncer in front of the PostgreSQL whose socket is in ``host``. A context manager."""

    def __init__(self, host: Path, pool_size: int = 20) -> None:
        self.host = host
        self.directory = Path(tempfile.mkdtemp(prefix="kanca-pgbouncer-"))
        self._pool_size = pool_size
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, url: str) -> str:
        """The way through it to what is at ``url``."""
        return url.replace(str(self.host), str(self.directory)) + "&statement_cache_size=0"

    def start(self) -> None:
        """Start it, and return once it takes connections. Raises RuntimeError when it does not come up."""
        program, libraries = _program()
        configuration = self.directory / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(
                host=self.host,
                port=_PORT,
                directory=self.directory,
                pool_size=self._pool_size,
                connect_query=CONNECT_QUERY,
            )
        )
        user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
        if user:
            identity = pwd.getpwnam(user)
            os.chown(self.directory, identity.pw_uid, identity.pw_gid)
        with (self.directory / "pgbouncer.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _LEASH, "leash", str(program), "-q", str(configuration)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=user,
                env={**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))},
                start_new_session=True,
            )
        give_up_at = time.monotonic() + _LIMIT_S
        while not self._takes_connections():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                said = (self.directory / "pgbouncer.log").read_text(errors="replace")
                self.close()
                raise RuntimeError(f"PgBouncer did not start:\n{said[-2000:]}")
            time.sleep(0.02)  # it says so nowhere else

    def close(self) -> None:
        """End it and remove what it left. May be called again."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.communicate(b"released\n", timeout=_LIMIT_S)
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _takes_connections(self) -> bool:
        with socket.socket(socket.AF_UNIX) as attempt:
            return attempt.connect_ex(str(self.directory / f".s.PGSQL.{_PORT}")) == 0


def _program() -> tuple[Path, list[Path]]:
    """PgBouncer, and where its libraries are."""
    installed = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if installed:
        return Path(installed), []
    root = unpacked("pgbouncer")
    if os.geteuid() == 0:
        root = _within_reach(root)
    return root / "usr" / "sbin" / "pgbouncer", [
        *root.glob("usr/lib/*-linux-gnu"),
        *root.glob("lib/*-linux-gnu"),
    ]


def _within_reach(root: Path) -> Path:
    """A copy that somebody else than root can run."""
    copy = Path(tempfile.gettempdir()) / "kanca-pgbouncer-program"
    if not (copy / ".complete").exists():
        shutil.copytree(root, copy, symlinks=True, dirs_exist_ok=True)
        copy.chmod(0o755)
        (copy / ".complete").touch()
    return copy
