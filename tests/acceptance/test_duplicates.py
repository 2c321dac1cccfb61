"""Many at once, one event."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.processes import Client, KancaProcess, eventually

COPIES = 50


@pytest.fixture(params=["sqlite", "two gateways on postgresql"])
def doubled(request: pytest.FixtureRequest, tmp_path: Path) -> KancaProcess:
    if request.param == "sqlite":
        return KancaProcess(request.getfixturevalue("sqlite_url"), tmp_path, "--workers", "2")
    return KancaProcess(
        request.getfixturevalue("postgres_url"), tmp_path, "--gateways", "2", "--workers", "2"
    )


async def test_fifty_copies_of_one_delivery_are_one_event_and_one_execution(doubled: KancaProcess) -> None:
    with doubled:
        async with Client(doubled) as client:
            url, token = await client.endpoint(config={"rate_limit_per_minute": 0})
            body = json.dumps({"event_type": "copy.made", "event_id": "the-one", "data": {}})
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

            async def send() -> tuple[int, str]:
                # A connection each, so that both gateways get their share.
                async with (
                    aiohttp.ClientSession() as session,
                    session.post(url, data=body, headers=headers) as answer,
                ):
                    return answer.status, (await answer.json())["event_id"]

            answers = await asyncio.gather(*(send() for _ in range(COPIES)))
            assert {status for status, _ in answers} == {200}
            assert len({event_id for _, event_id in answers}) == 1

            async def ended() -> bool:
                return str((await client.ask("GET", f"/api/events/{answers[0][1]}"))["status"]) == "succeeded"

            await eventually(ended, "the work has ended")
            assert len(await client.events(event_type="copy.made")) == 1
            assert [source for _, _, source in doubled.calls()] == ["the-one"]
