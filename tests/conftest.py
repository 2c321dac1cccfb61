"""What every test has: no network but this machine's own, and a real PostgreSQL for those that ask."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from kanca.telemetry.lines import lines
from tests.servers.mariadb import MariadbServer
from tests.servers.postgres import PostgresServer
from tests.servers.valkey import ValkeyServer

TESTS = Path(__file__).parent
BUSY = {"acceptance", "upgrades"}
"""They start servers and kill them: two at once would take longer than they wait."""
ALONE = "servers"

pytest_plugins = ["tests.databases"]

# A deadline per example measures the machine's mood, not the code. What decides about a change tries the same examples
# each time, so that nothing fails there which the change has not broken; every other run looks for new ones.
settings.register_profile(
    "kanca", settings.get_profile("default"), deadline=None, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("kanca")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The session's PostgreSQL 18, for every test that does not stop or kill it."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """The session's Valkey 9, for every test that does not stop or kill it."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    """The session's MariaDB. Fails where neither the machine nor Debian has one."""
    with MariadbServer() as server:
        yield server


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey 9 that the test may do anything to."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def written() -> Iterator[list[dict[str, Any]]]:
    """The lines of requests and attempts that are written, all of them, each with its ``event`` and ``is_wrong``."""
    kept: list[dict[str, Any]] = []

    def keep(event: str, fields: Mapping[str, Any], is_wrong: bool) -> None:
        known = {name: value for name, value in fields.items() if value is not None}
        kept.append({"event": event, "is_wrong": is_wrong, **known})

    lines.configure("all", keep)
    yield kept
    lines.configure("off", lambda *_: None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, and those with processes of their own one after the other."""
    for item in items:
        name = item.path.relative_to(TESTS).parts[0]
        group = ALONE if name in BUSY else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_configure() -> None:
    """Refuse every address that is not this machine's, in all of the test process."""
    sys.addaudithook(_stay_on_this_machine)


def _stay_on_this_machine(event: str, arguments: tuple[object, ...]) -> None:
    match event, arguments:
        case "socket.connect", (_, (host, *_)):
            stays = _is_loopback(host)
        case "socket.getaddrinfo", (host, *_):
            stays = host in {None, "", b"", "localhost", b"localhost"} or _is_address(host)
        case _:
            return
    if not stays:
        raise RuntimeError(f"tests stay on this machine; something wanted to reach {host!r}")


def _is_address(host: object) -> bool:
    try:
        ipaddress.ip_address(_text(host))
    except ValueError:
        return False
    return True


def _is_loopback(host: object) -> bool:
    return _is_address(host) and ipaddress.ip_address(_text(host)).is_loopback


def _text(host: object) -> str:
    return host.decode() if isinstance(host, bytes) else str(host)
