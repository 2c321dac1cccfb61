from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from pydantic import SecretStr

from kanca import Kanca
from kanca.app import mounted
from kanca.app.processes import Stop
from kanca.settings import Settings
from kanca.workers.worker import Worker


async def test_a_worker_that_died_is_followed_by_another(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = asyncio.Event()
    begun = 0

    async def run(self: Worker, stop: Stop) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise LookupError("nobody expected this")
        working.set()
        await stop.requested.wait()

    monkeypatch.setattr(Worker, "run", run)
    monkeypatch.setattr(mounted, "RESTART_AFTER", timedelta(0))
    hooks = Kanca(Settings(database_url=sqlite_url, secret_key=SecretStr("a secret key of some length")))
    async with asyncio.timeout(30), hooks.running():
        await working.wait()
