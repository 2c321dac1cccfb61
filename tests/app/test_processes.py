from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kanca.app.processes import LIFELINE_FD, PREDECESSOR, READY_FD, Stop, predecessor, run_child, say_ready

LIMIT_S = 60


@pytest.fixture
def _signals() -> Iterator[None]:
    """A child ignores SIGINT; the tests do not."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_signals")
def test_a_supervisor_that_is_gone_is_noticed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lifeline, end = os.pipe()
    monkeypatch.setenv(LIFELINE_FD, str(lifeline))
    insisted = 0

    class Counting(Stop):
        def insist(self) -> None:
            nonlocal insisted
            insisted += 1
            super().insist()

    async def main(stop: Stop) -> None:
        os.close(end)
        await stop.hurried.wait()
        for _ in range(20):
            await asyncio.sleep(0)

    monkeypatch.setattr("kanca.app.processes.Stop", Counting)
    run_child("worker-1", main)
    os.close(lifeline)
    assert insisted == 1


def test_a_child_says_which_worker_it_is() -> None:
    said, saying = os.pipe()
    environ = {READY_FD: str(saying)}
    say_ready("worker-1", 17, environ=environ)
    say_ready("gateway-1", environ=environ)
    assert os.read(said, 100) == b"worker-1 17\ngateway-1 \n"
    os.close(said)
    os.close(saying)


@pytest.mark.parametrize(("text", "number"), [("17", 17), ("", None), ("x", None)])
def test_a_child_knows_whose_place_it_takes(text: str, number: int | None) -> None:
    assert predecessor({PREDECESSOR: text}) == number
    assert predecessor({}) is None


@pytest.mark.parametrize(
    ("settings", "exit_code"),
    [({}, 1), ({"KANCA_EGRESS_ALLOW": "no such/range"}, 78)],
    ids=["it cannot open its database", "it cannot be set up so"],
)
def test_a_worker_that_fails_ends_whatever_threads_its_app_has(
    tmp_path: Path, settings: dict[str, str], exit_code: int
) -> None:
    (tmp_path / "lively.py").write_text(
        "import threading\n"
        "from kanca import Kanca\n"
        "hooks = Kanca()\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
    )
    url = f"sqlite:///{tmp_path}/{'' if settings else 'missing/'}kanca.db"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KANCA_")},
        "KANCA_APP": "lively:hooks",
        "KANCA_DATABASE_URL": url,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **settings,
    }
    ended = subprocess.run(
        [sys.executable, "-m", "kanca.app.worker_process", "worker-1"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert ended.returncode == exit_code, ended.stderr.decode()
