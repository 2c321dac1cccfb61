"""A session stands for a key, in a browser: for its time, for its pages only, and as long as the key is valid."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from kanca.api.services import Services
from kanca.domain.api_key import Role
from kanca.domain.ids import KEY, show_id
from kanca.domain.session_token import IDLE, LASTS, SEEN_EVERY
from tests.api.conformity import check_problem
from tests.api.conftest import Clock
from tests.api.fleet import AS_ADMIN, ORIGIN, Fleet, bearer, fleet_of

SESSION = "/api/session"
ENDPOINTS = "/api/webhooks/endpoints"


@pytest.fixture
async def fleet(services: Services) -> AsyncIterator[Fleet]:
    fleet = fleet_of(services)
    async with fleet.client:
        yield fleet


async def begin(fleet: Fleet, headers: dict[str, str]) -> dict[str, str]:
    """The headers of a page's changes in a new session; the client keeps the cookie, as a browser does."""
    begun = await fleet.client.post(SESSION, headers=headers)
    assert begun.status_code == 200, begun.text
    return {"origin": ORIGIN, "x-csrf-token": begun.json()["csrf_token"]}


async def code_of(answer: httpx.Response) -> str:
    return str(check_problem(answer)["code"])


async def test_a_key_is_exchanged_for_a_cookie_that_no_script_and_no_other_site_gets(fleet: Fleet) -> None:
    key_id, key = await fleet.key(Role.OPERATOR, "acme")
    begun = await fleet.client.post(SESSION, headers=bearer(key))
    seen = await fleet.client.get(SESSION)

    [cookie] = begun.headers.get_list("set-cookie")
    assert cookie.startswith("kanca_session=")
    assert cookie.partition(";")[2] == " Path=/; Max-Age=3600; HttpOnly; SameSite=Strict"
    assert key not in cookie
    assert seen.json() == begun.json()
    shown = {name: seen.json()[name] for name in ("proof", "key_id", "role", "tenant")}
    assert shown == {
        "proof": "api_key",
        "key_id": show_id(KEY, key_id),
        "role": "operator",
        "tenant": "acme",
    }


async def test_over_https_the_cookie_belongs_to_the_host_alone(services: Services) -> None:
    fleet = fleet_of(services, scheme="https")
    async with fleet.client as client:
        begun = await client.post(SESSION, headers=AS_ADMIN)
        plain = begun.headers["set-cookie"].replace("__Host-", "").partition(";")[0]
        known = await client.get(SESSION)
        client.cookies.clear()
        under_the_plain_name = await client.get(SESSION, headers={"cookie": plain})

    assert begun.headers["set-cookie"].startswith("__Host-kanca_session=")
    assert begun.headers["set-cookie"].endswith("; Path=/; Max-Age=3600; HttpOnly; SameSite=Strict; Secure")
    assert known.json()["proof"] == "admin_key"
    assert under_the_plain_name.status_code == 401


async def test_a_change_needs_the_token_and_the_origin_of_kanca_s_own_pages(fleet: Fleet) -> None:
    own = await begin(fleet, AS_ADMIN)
    wrong: list[dict[str, str]] = [
        {},
        {"origin": ORIGIN},
        {"x-csrf-token": own["x-csrf-token"]},
        own | {"origin": "https://evil.example"},
        own | {"origin": "null"},
        own | {"x-csrf-token": own["x-csrf-token"][:-1]},
    ]

    refused = [await fleet.client.post(ENDPOINTS, json={}, headers=headers) for headers in wrong]
    made = await fleet.client.post(ENDPOINTS, json={}, headers=own)
    # Behind a proxy that says another Host.
    public = await fleet.client.post(
        ENDPOINTS, json={}, headers=own | {"origin": "https://hooks.example.com"}
    )

    assert [await code_of(answer) for answer in refused] == ["csrf_refused"] * len(wrong)
    assert {answer.status_code for answer in refused} == {403}
    assert (made.status_code, public.status_code) == (200, 200)
    assert (await fleet.client.get(ENDPOINTS)).status_code == 200


async def test_the_token_of_one_session_is_none_of_another(fleet: Fleet) -> None:
    first = await begin(fleet, AS_ADMIN)
    await begin(fleet, AS_ADMIN)

    assert await code_of(await fleet.client.post(ENDPOINTS, json={}, headers=first)) == "csrf_refused"


async def test_a_revoked_key_ends_its_sessions_and_the_cookie_goes(fleet: Fleet) -> None:
    key_id, key = await fleet.key(Role.VIEWER)
    await begin(fleet, bearer(key))
    await fleet.ask("DELETE", f"/api/keys/{show_id(KEY, key_id)}")

    over = await fleet.client.get(ENDPOINTS)

    assert (over.status_code, await code_of(over)) == (401, "session_over")
    assert "Max-Age=0" in over.headers["set-cookie"]
    assert not fleet.client.cookies


async def test_a_session_may_do_what_its_key_may(fleet: Fleet) -> None:
    _, key = await fleet.key(Role.VIEWER, "acme")
    own = await begin(fleet, bearer(key))

    assert await code_of(await fleet.client.post(ENDPOINTS, json={}, headers=own)) == "role_not_allowed"
    assert await code_of(await fleet.client.get("/api/instances")) == "not_for_tenants"


async def test_a_session_ends_when_it_is_idle_and_goes_on_while_it_is_not(fleet: Fleet, clock: Clock) -> None:
    begun = clock.now
    await begin(fleet, AS_ADMIN)
    clock.now = begun + SEEN_EVERY / 2
    unrenewed = await fleet.client.get(ENDPOINTS)
    while clock.now < begun + LASTS - IDLE:
        clock.now += IDLE * 0.9
        renewed = await fleet.client.get(ENDPOINTS)
        assert renewed.status_code == 200
        assert "kanca_session=" in renewed.headers["set-cookie"]
    clock.now = begun + LASTS
    over = await fleet.client.get(ENDPOINTS)

    assert "set-cookie" not in unrenewed.headers
    assert (over.status_code, await code_of(over)) == (401, "session_over")


async def test_ending_a_session_takes_the_cookie_away(fleet: Fleet, clock: Clock) -> None:
    own = await begin(fleet, AS_ADMIN)
    clock.now += 2 * SEEN_EVERY  # any other answer would say anew that it was seen

    ended = await fleet.client.delete(SESSION, headers=own)

    assert (ended.status_code, len(fleet.client.cookies)) == (200, 0)
    assert await code_of(await fleet.client.get(SESSION)) == "unauthenticated"


async def test_no_copy_of_the_cookie_outlives_the_end_of_its_session(fleet: Fleet) -> None:
    for headers in (AS_ADMIN, bearer((await fleet.key(Role.OPERATOR, "acme"))[1])):
        own = await begin(fleet, headers)
        copied = dict(fleet.client.cookies)
        await fleet.client.delete(SESSION, headers=own)
        other = await begin(fleet, headers)
        kept = dict(fleet.client.cookies)

        fleet.client.cookies = httpx.Cookies(copied)
        over = [
            await code_of(await fleet.client.get(SESSION)),
            await code_of(await fleet.client.delete(SESSION, headers=own)),
        ]
        fleet.client.cookies = httpx.Cookies(kept)

        assert over == ["session_over"] * 2
        assert (await fleet.client.get(SESSION)).json()["csrf_token"] == other["x-csrf-token"]
        fleet.client.cookies.clear()


async def test_only_a_key_begins_a_session(fleet: Fleet) -> None:
    own = await begin(fleet, AS_ADMIN)

    again = await fleet.client.post(SESSION, headers=own)

    assert await code_of(again) == "unauthenticated"


async def test_a_key_that_comes_with_a_request_counts_before_its_cookie(fleet: Fleet) -> None:
    _, key = await fleet.key(Role.VIEWER)
    await begin(fleet, AS_ADMIN)

    both = await fleet.client.get(SESSION, headers=bearer(key))
    wrong = await fleet.client.get(SESSION, headers=bearer("wrong"))

    assert both.json()["role"] == "viewer"
    assert wrong.status_code == 401


async def test_what_a_proxy_asks_for_besides_takes_nothing_from_a_session(fleet: Fleet) -> None:
    await begin(fleet, AS_ADMIN)

    answer = await fleet.client.get(SESSION, headers={"authorization": "Basic b3BzOnNlY3JldA=="})

    assert answer.json()["proof"] == "admin_key"


async def test_an_expiring_key_ends_its_sessions_with_it(fleet: Fleet, clock: Clock) -> None:
    _, key = await fleet.key(Role.VIEWER, expires_at=clock.now + timedelta(minutes=5))
    await begin(fleet, bearer(key))
    clock.advance(minutes=5)

    over = await fleet.client.get(ENDPOINTS)

    assert await code_of(over) == "session_over"
