"""Mounted in somebody's FastAPI app under uvicorn, everything works in that one process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.processes import ADMIN_KEY, LEASHED, Client, KancaProcess, eventually


class UvicornProcess(KancaProcess):
    """``uvicorn tests.acceptance.mounting:app``."""

    def start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.set_inheritable(True)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/hooks"
            with (self._directory / "server.log").open("ab") as log:
                command = [*LEASHED, sys.executable, "-m", "uvicorn", "tests.acceptance.mounting:app"]
                self._process = subprocess.Popen(
                    [*command, "--fd", str(listener.fileno())],
                    cwd=self._directory,
                    env=self._environ,
                    pass_fds=[listener.fileno()],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> UvicornProcess:
    return UvicornProcess(request.getfixturevalue(request.param), tmp_path)


async def test_a_mounted_kanca_serves_works_and_stops(mounted: UvicornProcess) -> None:
    with mounted:
        async with Client(mounted) as client:

            async def is_up() -> bool:
                try:
                    async with client.session.get(mounted.url + "/health/ready") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await eventually(is_up, "the app is ready")
            url, token = await client.endpoint()
            body = {"event_type": "mounted.test", "event_id": "mounted-1", "data": {}}
            headers = {"Authorization": f"Bearer {token}"}
            async with client.session.post(url, json=body, headers=headers) as answer:
                assert answer.status == 200
                event_id = (await answer.json())["event_id"]

            async def ended() -> bool:
                return str((await client.ask("GET", f"/api/events/{event_id}"))["status"]) == "succeeded"

            await eventually(ended, "the handler has run")
            assert [source for _, _, source in mounted.calls()] == ["mounted-1"]
            async with client.session.get(mounted.url.removesuffix("/hooks") + "/") as answer:
                assert await answer.json() == {"app": "somebody's own"}
            # Mounted, management needs the key, even from this machine.
            async with client.session.get(mounted.url + "/api/events") as answer:
                assert answer.status == 401
        assert mounted.stop() in {0, -signal.SIGTERM}
        assert ADMIN_KEY not in mounted.log()
