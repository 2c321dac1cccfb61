"""Resume addresses: ``/webhooks/resume/{token}``."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from kanca.bodies import event_data
from kanca.domain.endpoint import RESUME_ENDPOINT, RESUME_WEBHOOK_ID
from kanca.domain.event import StoredEvent
from kanca.domain.resume_token import RESUME_PATH, ResumeToken, make_token
from kanca.domain.wait import WaitAddress
from tests.ingest.site import NOON, Reply, Site, endpoint

KEYS = [b"k" * 32]
RUN = UUID(int=7 << 76)
ADDRESS = WaitAddress(RUN, "review", iteration=2, generation=1)
TOKEN = ResumeToken(ADDRESS, NOON + timedelta(days=30))
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {**BROWSER, "content-type": "application/x-www-form-urlencoded"}


def site(**config: Any) -> Site:
    stored = replace(
        endpoint("kanca", secrets=(), enable_cors=False, **config),
        number=RESUME_ENDPOINT,
        webhook_id=RESUME_WEBHOOK_ID,
    )
    here = Site({RESUME_WEBHOOK_ID: stored}, resume_keys=KEYS)
    here.store.workflows[RUN] = "orders"
    return here


def path(decision: str | None = None, token: ResumeToken = TOKEN) -> str:
    return RESUME_PATH + make_token(KEYS, token._replace(decision=decision))


def data_of(here: Site) -> Any:
    event = here.event
    values = {name: getattr(event, name) for name in StoredEvent.__dataclass_fields__}
    return event_data(StoredEvent(**values))


async def test_a_post_becomes_an_event_that_names_the_wait() -> None:
    here = site()
    reply = await here.post({"amount": 3}, path=path())
    event = here.event
    assert (reply.status, reply.json()) == (200, {"status": "accepted", "event_id": f"evt_{event.id.hex}"})
    assert (event.endpoint, event.type, event.dedupe_key) == (3, "run.resumed", ADDRESS.wait_id)
    request = json.loads(event.request)
    assert request["authenticated"] is True
    assert request["resume"] == {
        "wait": ADDRESS.wait_id.hex,
        "run": f"run_{RUN.hex}",
        "node": "review",
        "iteration": 2,
        "decision": None,
    }
    assert data_of(here) == {"amount": 3}


async def test_an_address_works_once_as_long_as_it_can_be_used_at_all() -> None:
    here = site()
    first = (await here.post({}, path=path("approve"))).json()
    again = await here.post({}, path=path("reject"))
    assert again.json() == {"status": "duplicate", "event_id": first["event_id"]}
    assert again.status == 200
    assert (here.event.type, json.loads(here.event.request)["resume"]["decision"]) == (
        "approval.decided",
        "approve",
    )
    assert here.event.dedupe_until is not None
    assert here.event.dedupe_until > TOKEN.expires_at


@pytest.mark.parametrize(
    ("body", "headers", "data"),
    [
        (
            b"comment=fine&by=ada",
            {"content-type": "application/x-www-form-urlencoded"},
            {"comment": "fine", "by": "ada"},
        ),
        (b"fine with me", {"content-type": "text/plain"}, "fine with me"),
        (b'{"ok": true}', {}, {"ok": True}),
        (b"", {}, ""),
        (b"", {"content-type": "application/x-www-form-urlencoded"}, ""),
    ],
)
async def test_any_body_is_taken_and_none(body: bytes, headers: dict[str, str], data: object) -> None:
    here = site()
    assert (await here.post(body, headers, path=path())).status == 200
    assert data_of(here) == data


async def test_a_body_that_cannot_be_read_is_refused_and_the_address_still_works() -> None:
    here = site()
    refused = await here.post(b"{", {"content-type": "application/json"}, path=path())
    assert (refused.status, refused.code) == (400, "invalid_json")
    assert (await here.post(b"x" * (1024 * 1024 + 1), path=path())).code == "payload_too_large"
    assert (await here.post({}, path=path())).json()["status"] == "accepted"


async def test_the_token_is_in_nothing_that_is_kept_or_logged() -> None:
    here = site()
    used = path("approve")
    token = used.removeprefix(RESUME_PATH)
    headers = {
        "referer": f"https://kanca.test{used}",
        "x-original-uri": used,
        "user-agent": f"curl {token}",
        "x-correlation-id": token,
    }
    with capture_logs() as logs:
        await here.post({}, headers, path=used)
        await here.post(b"{", headers | {"content-type": "application/json"}, path=used)
        here.accepting.failure = RuntimeError("broken")
        failed = await here.post({}, headers, path=used)
    await here.ingest.stop(timedelta(seconds=1))
    assert failed.status == 500
    assert [each["path"] for each in logs if "path" in each] == ["/webhooks/resume/…"]
    assert json.loads(here.event.request)["path"] == "/webhooks/resume/…"
    [rejection] = here.store.rejected
    kept = repr((here.event, rejection, logs))
    assert token not in kept
    assert token.encode() not in here.event.request + rejection.request


@pytest.mark.parametrize("token", ["", "x", "../receive", "a/b", "%00", make_token([b"z" * 32], TOKEN)])
async def test_a_forged_address_is_one_that_is_not_there(token: str) -> None:
    here = site()
    for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
        reply = await here.request(method, RESUME_PATH + token, headers=BROWSER)
        assert reply.status == 404
        assert method == "HEAD" or reply.code == "endpoint_not_found"
    assert here.accepting.events == {}
    assert here.store.lookups == []


async def test_the_endpoint_has_no_other_address() -> None:
    here = site()
    for other in ("/webhooks/resume", f"/api/webhooks/{RESUME_WEBHOOK_ID}"):
        assert (await here.post({}, path=other)).code == "endpoint_not_found"


async def test_after_its_time_an_address_is_gone() -> None:
    here = site()
    here.clock.now = TOKEN.expires_at.timestamp()
    reply = await here.post({}, path=path())
    assert (reply.status, reply.code) == (410, "resume_expired")
    page = await here.request("GET", path(), headers=BROWSER)
    assert (page.status, page.headers["content-type"]) == (410, "text/html; charset=utf-8")
    assert b"time in which this address could be used is over" in page.body


async def test_other_methods_are_refused() -> None:
    here = site()
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        reply = await here.request(method, path())
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, POST")
    assert here.accepting.events == {}


async def test_one_client_can_try_so_many_times_a_minute() -> None:
    here = site(rate_limit_per_minute=5)
    replies = [await here.request("GET", path()) for _ in range(6)]
    assert [reply.status for reply in replies] == [200] * 5 + [429]


# --- pages ----------------------------------------------------------------------------------------------------------


def check_page(reply: Reply) -> str:
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    text = reply.body.decode()
    for foreign in ("<script", "src=", "href=", "http://", "https://"):
        assert foreign not in text
    return text


async def test_opening_an_address_shows_what_would_be_done_and_changes_nothing() -> None:
    here = site()
    text = check_page(await here.request("GET", path("reject"), headers=BROWSER))
    for said in (
        "<h1>Reject?</h1>",
        "orders",
        "review",
        f"run_{RUN.hex}",
        "2026-12-21 12:00 UTC",
        "<textarea",
    ):
        assert said in text
    plain = check_page(await here.request("GET", path()))
    assert "<h1>Continue this run?</h1>" in plain
    assert "<textarea" not in plain
    head = await here.request("HEAD", path(), headers=BROWSER)
    assert (head.status, head.body) == (200, b"")
    assert (here.accepting.events, here.accepting.keys) == ({}, {})


async def test_a_run_that_is_not_stored_yet_has_a_page_all_the_same() -> None:
    here = site()
    here.store.workflows.clear()
    assert "Workflow</dt>" not in check_page(await here.request("GET", path()))


async def test_what_the_page_shows_is_escaped() -> None:
    here = site()
    here.store.workflows[RUN] = "<script>alert(1)</script>&\"'"
    assert "&lt;script&gt;" in check_page(await here.request("GET", path()))


async def test_the_form_of_the_page_is_answered_with_a_page() -> None:
    here = site()
    done = await here.post(b"comment=looks+good", FORM, path=path("approve"))
    again = await here.post(b"comment=no", FORM, path=path("reject"))
    assert "<h1>Done</h1>" in check_page(done)
    assert "<h1>This was already answered</h1>" in check_page(again)
    assert data_of(here) == {"comment": "looks good"}


async def test_the_page_says_when_nothing_can_be_shown_or_done_now() -> None:
    here = site()
    await here.request("GET", path())
    here.store.is_away = True
    page = await here.request("GET", path(), headers=BROWSER)
    assert (page.status, page.headers["retry-after"]) == (503, "30")
    assert "The database cannot be reached." in check_page(page)
    assert (await here.request("GET", path())).code == "database_unavailable"


async def test_without_keys_there_are_no_resume_addresses() -> None:
    here = Site(site().store.endpoints)
    assert (await here.post({}, path=path())).status == 404
