from __future__ import annotations

import httpx

from kanca.storage.ports import Database
from kanca.workers.job_doer import JobDoer
from tests.api.conftest import Clock
from tests.planted import places_of_marker, plant

ERASE = "/api/tenants/acme/erase"


async def test_an_erasure_is_a_job_that_says_what_it_did(
    client: httpx.AsyncClient, database: Database, clock: Clock
) -> None:
    await plant(database, tenant="acme")
    clock.advance(seconds=1)

    started = (await client.post(ERASE, json={})).json()
    await JobDoer(database, database.waker()).run_once()
    job = (await client.get(f"/api/jobs/{started['id']}")).json()

    assert (started["kind"], started["status"], started["tenant"]) == ("tenant.erase", "pending", "acme")
    assert (job["status"], job["counts"]["events"], job["counts"]["runs"]) == ("finished", 1, 2)
    assert await places_of_marker(database) == set()
    listed = (await client.get("/api/jobs")).json()["items"]
    assert [each["id"] for each in listed] == [started["id"]]


async def test_a_dry_run_counts_and_erases_nothing(client: httpx.AsyncClient, database: Database) -> None:
    await plant(database, tenant="acme")
    before = await places_of_marker(database)

    answer = await client.post(ERASE, json={"dry_run": True, "configuration": True})

    assert answer.json()["counts"] == {
        "events": 1,
        "dead_letters": 1,
        "endpoints": 0,
        "subscriptions": 0,
        "workflows": 0,
        "api_keys": 0,
    }
    await JobDoer(database, database.waker()).run_once()
    assert await places_of_marker(database) == before


async def test_a_job_can_be_cancelled_once(client: httpx.AsyncClient) -> None:
    job = (await client.post(ERASE, json={})).json()

    cancelled = await client.post(f"/api/jobs/{job['id']}/cancel")
    again = await client.post(f"/api/jobs/{job['id']}/cancel")

    assert cancelled.json()["status"] == "cancelled"
    assert (again.status_code, again.json()["code"]) == (409, "job_over")
    missing = await client.get("/api/jobs/job_019503f0a1c27d3e8f00b4a6c8d2e1f0")
    assert (missing.status_code, missing.json()["code"]) == (404, "job_not_found")
