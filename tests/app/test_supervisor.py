"""The supervisor with small children; with real ones it is tested in ``tests/acceptance``."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from kanca.app.processes import CONFIGURATION_EXIT
from kanca.app.supervisor import LIVE, LONGEST_DELAY, YOUNG, Supervisor, bind, hangs, restart_delay
from kanca.errors import InvalidSetting


def test_the_first_early_death_and_every_late_one_are_answered_at_once() -> None:
    assert restart_delay(timedelta(seconds=1), 1) == timedelta(0)
    assert restart_delay(YOUNG, 50) == timedelta(0)


def test_a_child_that_keeps_dying_young_waits_longer_each_time_up_to_a_limit() -> None:
    delays = [restart_delay(timedelta(seconds=1), deaths) for deaths in range(2, 40)]
    assert delays == sorted(delays)
    assert delays[0] == timedelta(seconds=0.5)
    assert delays[-1] == LONGEST_DELAY


async def test_an_address_that_is_taken_is_refused_by_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidSetting, match=f"cannot listen on 127.0.0.1:{port}"):
            await bind("127.0.0.1", port, patience=timedelta(0))


async def test_a_listener_is_ready_to_be_handed_down() -> None:
    listener = await bind("127.0.0.1", 0)
    with listener:
        assert not listener.getblocking()
        assert listener.getsockname()[1] > 0


LIMIT_S = 60

_CHILD = """
import os, sys
with open("starts", "a") as starts:
    starts.write(os.environ["KANCA_PREDECESSOR"] + "\\n")
number = len(open("starts").readlines())
"""
_READY = """
os.write(int(os.environ["KANCA_READY_FD"]), f"worker-1 {10 + number}\\n".encode())
"""
_WAIT = """
import signal
signal.pause()
"""


@pytest.fixture
def _children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Children run ``child.py`` in a directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def supervisor_of(directory: Path, child: str) -> Supervisor:
    (directory / "child.py").write_text(_CHILD + child)
    return Supervisor(0, 1, None, timedelta(seconds=LIMIT_S), dict(os.environ), worker_module="child")


async def ended(supervisor: Supervisor) -> int:
    async with asyncio.timeout(LIMIT_S):
        return await supervisor.run()


@pytest.mark.usefixtures("_children")
async def test_it_is_ready_while_every_child_works_and_none_is_asked_to_stop(tmp_path: Path) -> None:
    child = _READY + "if number == 2: os.kill(os.getppid(), 15)\n" + _WAIT
    supervisor = supervisor_of(tmp_path, child)
    said: list[bool] = [supervisor.is_ready]

    def kill_it() -> None:
        said.append(supervisor.is_ready)
        [first] = supervisor._children  # noqa: SLF001 - as anybody else would kill it
        assert first.process is not None
        first.process.kill()

    supervisor.on_ready = kill_it
    supervisor.on_death = lambda _name: said.append(supervisor.is_ready)

    assert await ended(supervisor) == 0
    assert said == [False, True, False, False]


async def test_a_supervisor_that_stands_still_is_not_alive() -> None:
    supervisor = Supervisor(0, 1, None, timedelta(seconds=1))
    assert supervisor.is_live
    supervisor._looked_at -= LIVE.total_seconds()  # noqa: SLF001 - as if nobody had looked for so long
    assert not supervisor.is_live


@pytest.mark.usefixtures("_children")
async def test_who_takes_the_place_of_a_dead_worker_is_told_its_number(tmp_path: Path) -> None:
    child = _READY + "if number < 3: sys.exit(1)\nos.kill(os.getppid(), 15)\n" + _WAIT
    assert await ended(supervisor_of(tmp_path, child)) == 0
    assert (tmp_path / "starts").read_text().splitlines() == ["", "11", "12"]


@pytest.mark.usefixtures("_children")
async def test_a_child_goes_by_the_same_name_after_its_death_which_is_told_before(tmp_path: Path) -> None:
    named = 'open("names", "a").write(os.environ["KANCA_PROCESS_NAME"] + "\\n")\n'
    child = named + _READY + "if number < 3: sys.exit(1)\nos.kill(os.getppid(), 15)\n" + _WAIT
    supervisor = supervisor_of(tmp_path, child)
    deaths: list[tuple[str, int]] = []
    supervisor.on_death = lambda name: deaths.append(
        (name, len((tmp_path / "names").read_text().splitlines()))
    )

    assert await ended(supervisor) == 0

    assert (tmp_path / "names").read_text().splitlines() == ["worker-1"] * 3
    assert deaths == [("worker-1", 1), ("worker-1", 2), ("worker-1", 3)]


@pytest.mark.usefixtures("_children")
async def test_a_child_that_cannot_be_set_up_ends_everything_at_the_start(tmp_path: Path) -> None:
    supervisor = supervisor_of(tmp_path, f"sys.exit({CONFIGURATION_EXIT})")
    assert await ended(supervisor) == CONFIGURATION_EXIT


@pytest.mark.usefixtures("_children")
async def test_what_once_worked_is_tried_again(tmp_path: Path) -> None:
    child = f"if number == 2: sys.exit({CONFIGURATION_EXIT})\n{_READY}"
    child += "if number == 1: sys.exit(1)\nos.kill(os.getppid(), 15)\n" + _WAIT
    assert await ended(supervisor_of(tmp_path, child)) == 0
    assert len((tmp_path / "starts").read_text().splitlines()) == 3


@pytest.mark.usefixtures("_children")
async def test_a_child_that_is_just_being_started_is_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = asyncio.create_subprocess_exec

    async def start_while_stopping(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await start(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(10):  # the signal's handler has its turn
            await asyncio.sleep(0)
        return process

    supervisor = supervisor_of(tmp_path, _WAIT)
    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_while_stopping)
    async with asyncio.timeout(LIMIT_S / 2):
        assert await supervisor.run() == 0


@pytest.mark.usefixtures("_children")
async def test_a_machine_that_cannot_start_a_process_now_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = asyncio.create_subprocess_exec
    failures = [BlockingIOError("no more processes")]

    async def start_later(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        if failures:
            raise failures.pop()
        return await start(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_later)
    child = _READY + "os.kill(os.getppid(), 15)\n" + _WAIT
    assert await ended(supervisor_of(tmp_path, child)) == 0
    assert len((tmp_path / "starts").read_text().splitlines()) == 1


def test_a_child_hangs_when_it_is_silent_for_longer_than_it_may_be_and_others_are_not() -> None:
    limit = timedelta(seconds=10)
    assert hangs(10, 1, limit)
    assert not hangs(9, 1, limit)
    assert not hangs(1000, 1, timedelta(0))


def test_after_a_machine_stood_still_nobody_is_taken_for_hanging() -> None:
    assert not hangs(1000, 999, timedelta(seconds=10))


_BEAT = """
os.write(int(os.environ["KANCA_READY_FD"]), b"worker-1 alive\\n")
"""
_HANG = """
import faulthandler, signal
faulthandler.register(signal.SIGUSR2)
def stuck_here():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    while True:
        signal.pause()
"""


@pytest.mark.usefixtures("_children")
async def test_a_child_that_hangs_says_where_and_is_killed_and_started_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    child = _HANG + _BEAT + "if number == 1: stuck_here()\n" + _READY + "os.kill(os.getppid(), 15)\n" + _WAIT
    supervisor = supervisor_of(tmp_path, child)
    supervisor.watchdog = timedelta(seconds=2)
    with capture_logs() as logs:
        assert await ended(supervisor) == 0
    assert len((tmp_path / "starts").read_text().splitlines()) == 2
    (said,) = [line for line in logs if line["event"] == "child_hangs"]
    assert (said["child"], said["log_level"]) == ("worker-1", "error")
    assert said["silent_s"] >= 2
    (death,) = [line for line in logs if line["event"] == "child_died"]
    assert death["exit_code"] == -signal.SIGKILL
    assert "stuck_here" in capfd.readouterr().err


@pytest.mark.usefixtures("_children")
async def test_the_door_is_closed_when_all_gateways_have_answered_everything(tmp_path: Path) -> None:
    gateway = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.write(int(os.environ["KANCA_READY_FD"]), f"{sys.argv[1]} \\n".encode())
signal.sigwait([signal.SIGTERM])
os.write(int(os.environ["KANCA_READY_FD"]), f"{sys.argv[1]} done\\n".encode())
listener = socket.socket(fileno=int(os.environ["KANCA_LISTEN_FD"]))
listener.setblocking(True)
try:
    while True: listener.accept()
except OSError:
    open(f"refused-{sys.argv[1]}", "w")
"""
    (tmp_path / "child.py").write_text("import os, socket, sys\n" + gateway)
    with await bind("127.0.0.1", 0) as listener:
        supervisor = Supervisor(
            2,
            0,
            listener,
            timedelta(seconds=LIMIT_S),
            dict(os.environ),
            on_ready=lambda: os.kill(os.getpid(), signal.SIGTERM),
            gateway_module="child",
        )
        assert await ended(supervisor) == 0
        assert [(tmp_path / f"refused-gateway-{n}").read_text() for n in (1, 2)] == ["", ""]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*listener.getsockname())
