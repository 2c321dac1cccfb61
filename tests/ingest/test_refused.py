"""Who is refused: for the address, the method, the proof, the way, the rate."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from kanca.domain.endpoint import Secret
from kanca.ingest.rate_limit import RateLimiter
from kanca.ingest.request import Request, whole
from kanca.ingest.settings import IngestSettings
from tests.ingest.site import (
    BEARER,
    ENVELOPE,
    JSON,
    NOON,
    PATH,
    SECRET,
    TOKEN,
    WEBHOOK_ID,
    Site,
    endpoint,
    signed,
    site,
)


async def _cause(here: Site) -> str:
    """The precise code of the only rejection."""
    await here.ingest.stop(timedelta(seconds=1))
    (rejection,) = here.store.rejected
    return rejection.code


def _by_stripe(at: int, body: bytes) -> dict[str, str]:
    signature = hmac.digest(SECRET.encode(), b"%d." % at + body, "sha256").hex()
    return {"stripe-signature": f"t={at},v1={signature}"}


async def test_unknown_and_inactive_endpoints_answer_alike() -> None:
    unknown = await Site({}).post(ENVELOPE, BEARER)
    assert (unknown.status, unknown.code) == (404, "endpoint_not_found")
    inactive = Site({WEBHOOK_ID: replace(endpoint(), is_active=False)})
    assert await inactive.post(ENVELOPE, BEARER) == unknown


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/webhooks",
        "/api/webhooks/endpoints",
        PATH + "/",
        PATH + "/events",
        PATH.upper(),
        "/api/webhooks/wh_" + "AB" * 12,
        "/api/webhooks/wh_000000000000000000000001",
        "/webhooks/",
        "/webhooks/subscriptions",
        "/webhooks/a/b",
        "/webhooks/" + "a" * 129,
        "/webhooks/a\x00",
        "/webhooks/a\n",
        "/webhooks/\u015f",
    ],
)
async def test_other_paths_are_not_ingest(path: str) -> None:
    here = site()
    assert (await here.post(ENVELOPE, BEARER, path=path)).status == 404
    assert here.store.lookups == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "WAT"])
async def test_only_post_is_allowed(method: str) -> None:
    reply = await site().request(method, PATH, headers=BEARER)
    assert reply.status == 405
    assert reply.headers["allow"] == "POST, OPTIONS"
    if method == "HEAD":
        assert reply.body == b""
    else:
        assert reply.code == "method_not_allowed"


async def test_an_endpoint_may_take_other_methods() -> None:
    here = site(endpoint(allowed_methods=["put", "PATCH", "PUT"]))
    messages = [{"type": "http.request", "body": json.dumps(ENVELOPE).encode()}]
    for method in ("PUT", "PATCH"):
        reply = await here.request(method, PATH, messages, BEARER | JSON)
        assert reply.status == 200
    for method in ("POST", "GET", "HEAD", "put"):
        reply = await here.request(method, PATH, messages, BEARER | JSON)
        assert (reply.status, reply.headers["allow"]) == (405, "PUT, PATCH, OPTIONS")
    own = Request(
        "POST",
        PATH,
        PATH,
        "http",
        "192.0.2.7",
        [(b"authorization", f"Bearer {TOKEN}".encode())],
        whole(b"{}"),
    )
    assert (await here.ingest.accept(own, is_test=True)).status != 405


async def test_another_method_at_an_unknown_address_is_not_found() -> None:
    assert (await Site({}).request("GET", PATH)).status == 404


async def test_a_page_may_send_where_cors_is_on() -> None:
    here = site()
    asked = {"origin": "https://shop.test", "access-control-request-headers": "authorization, x-a"}
    preflight = await here.request("OPTIONS", PATH, headers=asked)
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert preflight.headers["access-control-allow-headers"] == "authorization, x-a"
    for headers in (BEARER, {}):
        reply = await here.post(ENVELOPE, {**headers, "origin": "https://shop.test"})
        assert reply.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in (await here.post(ENVELOPE, BEARER)).headers


async def test_a_page_may_not_send_where_cors_is_off() -> None:
    here = site(endpoint(enable_cors=False))
    preflight = await here.request("OPTIONS", PATH, headers={"origin": "https://shop.test"})
    assert (preflight.status, preflight.headers["allow"]) == (405, "POST")
    reply = await here.post(ENVELOPE, BEARER | {"origin": "https://shop.test"})
    assert reply.status == 200
    assert "access-control-allow-origin" not in reply.headers


async def test_only_pages_of_the_listed_origins_may_send() -> None:
    here = site(
        endpoint(cors_origins=["https://shop.test", "http://localhost:3000"], allowed_methods=["POST", "PUT"])
    )
    for origin in ("https://shop.test", "http://localhost:3000"):
        preflight = await here.request("OPTIONS", PATH, headers={"origin": origin})
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == origin
        assert preflight.headers["access-control-allow-methods"] == "POST, PUT, OPTIONS"
        assert preflight.headers["access-control-max-age"] == "600"
        assert preflight.headers["vary"] == "origin"
        for headers in (BEARER, {}):
            reply = await here.post(ENVELOPE, {**headers, "origin": origin})
            assert reply.headers["access-control-allow-origin"] == origin
            assert reply.headers["vary"] == "origin"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "http://shop.test",
        "https://shop.test:8443",
        "https://a.shop.test",
        "null",
        "*",
        "",
    ],
)
async def test_a_page_of_another_origin_is_given_nothing(origin: str) -> None:
    here = site(endpoint(cors_origins=["https://shop.test"]))
    preflight = await here.request("OPTIONS", PATH, headers={"origin": origin})
    refused = await here.post(ENVELOPE, {"origin": origin})
    taken = await here.post(ENVELOPE, BEARER | {"origin": origin})
    without = await here.post(ENVELOPE, BEARER)
    assert [reply.status for reply in (preflight, refused, taken, without)] == [204, 401, 200, 200]
    for reply in (preflight, refused, taken, without):
        assert not [name for name in reply.headers if name.startswith("access-control-")]
        assert reply.headers["vary"] == "origin"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "token_missing"),
        ({"authorization": f"Basic {TOKEN}"}, "token_malformed"),
        ({"authorization": "Bearer wht_other"}, "token_mismatch"),
        ({"authorization": "Bearer "}, "token_mismatch"),
    ],
)
async def test_a_wrong_token_is_refused(headers: dict[str, str], code: str) -> None:
    here = site()
    reply = await here.post(ENVELOPE, headers)
    assert (reply.status, reply.code) == (401, "invalid_token")
    assert await _cause(here) == code
    assert reply.headers["www-authenticate"] == 'Bearer realm="kanca"'
    assert here.accepting.events == {}


async def test_a_changed_byte_is_refused_and_leaves_nothing_but_a_rejection() -> None:
    here = site(endpoint("hmac"))
    body = json.dumps(ENVELOPE).encode()
    reply = await here.post(body.replace(b"9.90", b"9.91"), JSON | signed(body))
    assert (reply.status, reply.code) == (401, "invalid_signature")
    assert here.accepting.events == {}
    await here.ingest.stop(timedelta(0))
    (rejection,) = here.store.rejected
    assert (rejection.endpoint, rejection.status, rejection.code) == (100, 401, "signature_mismatch")


async def test_a_wrong_signature_is_refused_before_anything_reads_the_body() -> None:
    reply = await site(endpoint("hmac")).post(b"{not json", JSON | signed(b"other"))
    assert reply.code == "invalid_signature"


async def test_an_endpoint_without_a_secret_takes_nothing() -> None:
    here = site(endpoint("hmac", secrets=[]))
    reply = await here.post(ENVELOPE, signed(b""))
    assert (reply.status, reply.code) == (401, "invalid_signature")
    assert await _cause(here) == "secret_missing"


async def test_callers_are_not_told_what_is_wrong_with_a_proof() -> None:
    stripe = endpoint("stripe")
    now, body = int(NOON.timestamp()), b"{}"
    proofs = [
        {},
        {"stripe-signature": "nonsense"},
        {"stripe-signature": f"t={now},v1=abc"},
        {"stripe-signature": f"v1={'0' * 64}"},
        {"stripe-signature": f"t=x,v1={'0' * 64}"},
        {"stripe-signature": f"t={now},v1={'0' * 64}"},
        _by_stripe(now - 412, body),
        _by_stripe(now + 900, body),
    ]
    here = site(stripe)
    told = [await here.post(body, JSON | proof) for proof in proofs]
    told.append(await site(endpoint("stripe", secrets=[])).post(body, JSON | _by_stripe(now, body)))
    assert (await here.post(body, JSON | _by_stripe(now, body))).status == 200
    assert len({(reply.status, reply.body, *reply.headers.items()) for reply in told}) == 1
    assert told[0].json() == {
        "type": "urn:kanca:problem:invalid_signature",
        "title": "Invalid signature",
        "status": 401,
        "detail": "invalid signature",
        "code": "invalid_signature",
    }


async def test_callers_are_not_told_what_is_wrong_with_a_token() -> None:
    choices: tuple[list[Secret] | None, ...] = (None, [])
    told = [
        await site(endpoint(secrets=secrets)).post(ENVELOPE, headers)
        for secrets in choices
        for headers in ({}, {"authorization": "Basic x"}, {"authorization": "Bearer x"})
    ]
    assert len({reply.body for reply in told}) == 1
    assert (told[0].code, told[0].json()["detail"]) == ("invalid_token", "invalid token")


async def test_the_operator_is_told_what_was_wrong() -> None:
    here = site(endpoint("stripe"))
    await here.post(b"{}", _by_stripe(int(NOON.timestamp()) - 412, b"{}"))
    await here.ingest.stop(timedelta(seconds=1))
    (rejection,) = here.store.rejected
    assert (rejection.code, rejection.detail) == (
        "timestamp_too_old",
        "timestamp is 412 s old, tolerance 300 s",
    )


async def test_the_operator_is_told_that_the_old_secret_is_still_in_use() -> None:
    ended = NOON - timedelta(minutes=5)
    here = site(endpoint("hmac", secrets=[Secret("the-new-secret"), Secret(SECRET, ended)]))
    assert (await here.post(b"{}", JSON | signed(b"{}"))).code == "invalid_signature"
    await here.ingest.stop(timedelta(seconds=1))
    (rejection,) = here.store.rejected
    assert rejection.detail == "signed with a secret that was rotated out 5 minutes ago"


async def test_an_endpoint_that_cannot_work_takes_nothing() -> None:
    reply = await site(endpoint("no-such-provider")).post(ENVELOPE, BEARER)
    assert (reply.status, reply.code) == (503, "endpoint_unusable")


async def test_an_old_secret_is_good_until_its_end() -> None:
    here = site(endpoint(secrets=[Secret("new-one"), Secret(TOKEN, NOON + timedelta(hours=1))]))
    assert (await here.post(ENVELOPE, BEARER)).status == 200
    here.clock.now += 3601
    assert (await here.post(ENVELOPE, BEARER)).status == 401
    assert (await here.post(ENVELOPE, {"authorization": "Bearer new-one"})).status == 200


async def test_an_address_that_is_not_listed_is_refused() -> None:
    here = site(endpoint(allowed_ips=["198.51.100.0/24", "2001:db8::/32"]))
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.code) == (403, "ip_not_allowed")
    for address in ("198.51.100.9", "2001:db8::1", "::ffff:198.51.100.9"):
        assert (await here.post(ENVELOPE, BEARER, client=(address, 1))).status == 200
    assert (await here.post(ENVELOPE, BEARER, client=None)).status == 403


async def test_a_forwarding_header_counts_from_a_trusted_proxy_only() -> None:
    config = endpoint(allowed_ips=["198.51.100.9"])
    forwarded = BEARER | {"x-forwarded-for": "198.51.100.9"}
    assert (await site(config).post(ENVELOPE, forwarded)).status == 403
    trusting = site(config, IngestSettings(trusted_proxies=("192.0.2.0/24",)))
    assert (await trusting.post(ENVELOPE, forwarded)).status == 200
    assert json.loads(trusting.event.request)["ip"] == "198.51.100.9"
    for spoofed in (
        {"x-forwarded-for": "198.51.100.9, 203.0.113.5"},
        {"x-forwarded-for": "203.0.113.5", "forwarded": "for=198.51.100.9"},
        {"forwarded": 'for=198.51.100.9;by=", for=203.0.113.5'},
    ):
        assert (await trusting.post(ENVELOPE, BEARER | spoofed)).status == 403


async def test_a_proxy_in_an_allowed_network_does_not_open_it_for_a_client_that_cannot_be_told() -> None:
    here = site(endpoint(allowed_ips=["192.0.2.0/24"]), IngestSettings(trusted_proxies=("192.0.2.0/24",)))
    assert (await here.post(ENVELOPE, BEARER)).status == 200
    for forwarded in ({"x-forwarded-for": "unknown"}, {"forwarded": "for=_hidden"}, {"forwarded": "for"}):
        assert (await here.post(ENVELOPE, BEARER | forwarded)).code == "ip_not_allowed"


async def test_https_can_be_required() -> None:
    here = site(settings=IngestSettings(require_https=True, trusted_proxies=("192.0.2.7",)))
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.code) == (403, "https_required")
    assert (await here.post(ENVELOPE, BEARER, scheme="https")).status == 200
    over_proxy = BEARER | {"x-forwarded-proto": "https"}
    assert (await here.post(ENVELOPE, over_proxy)).status == 200
    assert (await here.post(ENVELOPE, over_proxy, client=("192.0.2.8", 1))).status == 403
    assert (await here.post(ENVELOPE, BEARER | {"forwarded": "for=1.1.1.1;proto=https"})).status == 200
    for said in ({"x-forwarded-proto": "http"}, {"forwarded": "for=1.1.1.1;proto=http"}):
        assert (
            await here.post(ENVELOPE, {"forwarded": "for=1.1.1.1;proto=https"} | over_proxy | said)
        ).status == 403


async def test_a_client_above_its_rate_is_refused_and_told_when_to_come_back() -> None:
    here = site(endpoint(rate_limit_per_minute=2))
    for _ in range(2):
        assert (await here.post(ENVELOPE, BEARER)).status == 200
    here.clock.now += 20
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.code) == (429, "rate_limited")
    assert reply.headers["retry-after"] == "40"
    assert reply.headers["x-ratelimit-limit"] == "2"
    assert reply.headers["x-ratelimit-remaining"] == "0"
    assert reply.headers["x-ratelimit-reset"] == "40"
    assert (await here.post(ENVELOPE, BEARER, client=("192.0.2.8", 1))).status == 200
    here.clock.now += 40
    assert (await here.post(ENVELOPE, BEARER)).status == 200


class NoCounters:
    """Shared counters that are away."""

    async def hit(self, _key: str) -> None:
        return None


async def test_where_limits_cannot_be_checked_a_closed_door_asks_to_come_again() -> None:
    limiter = RateLimiter(shared=NoCounters(), fails_closed=True)
    here = Site({WEBHOOK_ID: endpoint(rate_limit_per_minute=2)}, limiter=limiter)
    reply = await here.post(ENVELOPE, BEARER)
    assert (reply.status, reply.code) == (503, "rate_limit_unavailable")
    assert reply.headers["retry-after"] == "5"
    unlimited = Site({WEBHOOK_ID: endpoint(rate_limit_per_minute=0)}, limiter=limiter)
    assert (await unlimited.post(ENVELOPE, BEARER)).status == 200


async def test_where_limits_cannot_be_checked_together_an_open_door_counts_for_itself() -> None:
    here = Site({WEBHOOK_ID: endpoint(rate_limit_per_minute=2)}, limiter=RateLimiter(shared=NoCounters()))
    assert [(await here.post(ENVELOPE, BEARER)).status for _ in range(3)] == [200, 200, 429]


async def test_what_nothing_signs_has_a_rate_limit_unless_it_says_otherwise() -> None:
    here = site(endpoint(rate_limit_per_minute=None))
    replies = [await here.post(ENVELOPE, BEARER) for _ in range(61)]
    assert [reply.status for reply in replies] == [200] * 60 + [429]
    here = site(endpoint("hmac", rate_limit_per_minute=None))
    body = json.dumps(ENVELOPE).encode()
    replies = [await here.post(body, JSON | signed(body)) for _ in range(61)]
    assert {reply.status for reply in replies} == {200}
