"""A real PgBouncer in transaction mode: the machine's own, or else the one of Debian's package.

No test of the suite needs it: ``python -m scripts.pgbouncer`` runs tests through it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path

from tests.servers.debian import libraries, unpacked
from tests.servers.leashed import LeashedServer

_PORT = 5432
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


class PgBouncer(LeashedServer):
    """One PgBouncer in front of the PostgreSQL whose socket is in ``host``."""

    def __init__(self, host: Path, pool_size: int = 20) -> None:
        super().__init__("PgBouncer")
        self.host = host
        self._pool_size = pool_size

    def url(self, url: str) -> str:
        """The way through it to what is at ``url``."""
        return url.replace(str(self.host), str(self.directory)) + "&statement_cache_size=0"

    def start(self) -> None:
        """Start it, and return once it takes connections. Raises RuntimeError when it does not come up."""
        program, found = _program()
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
        self.run([str(program), "-q", str(configuration)], found, user)

    @property
    def address(self) -> str:
        """Its socket."""
        return str(self.directory / f".s.PGSQL.{_PORT}")


def _program() -> tuple[Path, list[Path]]:
    """PgBouncer, and where its libraries are."""
    installed = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if installed:
        return Path(installed), []
    root = unpacked("pgbouncer")
    if os.geteuid() == 0:
        root = _within_reach(root)
    return root / "usr" / "sbin" / "pgbouncer", libraries(root)


def _within_reach(root: Path) -> Path:
    """A copy that somebody else than root can run."""
    copy = Path(tempfile.gettempdir()) / "kanca-pgbouncer-program"
    if not (copy / ".complete").exists():
        shutil.copytree(root, copy, symlinks=True, dirs_exist_ok=True)
        copy.chmod(0o755)
        (copy / ".complete").touch()
    return copy
