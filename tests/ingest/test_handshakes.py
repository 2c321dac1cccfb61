from __future__ import annotations

import json

from kanca.domain.endpoint import Endpoint, Secret
from kanca.providers import get_provider, make_delivery, sign
from tests.ingest.site import NOON, PATH, WEBHOOK_ID, Site, endpoint

SLACK_SECRET = "8f742231b10e8888abcd99fffeee85a5"


def having(provider: str, secret: str) -> Endpoint:
    return endpoint(provider, [Secret(secret)])


def sent(provider: str, secret: str, body: bytes) -> dict[str, str]:
    """The headers with which the provider would send a body at noon."""
    spec = get_provider(provider)
    draft = make_delivery(spec, None, now=NOON.timestamp(), body=body).draft
    return dict(sign(spec, None, secret, draft).headers)


async def test_a_signed_handshake_is_answered_and_becomes_no_event() -> None:
    here = Site({WEBHOOK_ID: having("slack", SLACK_SECRET)})
    body = b'{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}'

    reply = await here.post(body, sent("slack", SLACK_SECRET, body))

    assert (reply.status, reply.body) == (200, b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert not here.accepting.events


async def test_a_handshake_with_a_wrong_signature_is_refused() -> None:
    here = Site({WEBHOOK_ID: having("slack", SLACK_SECRET)})
    body = b'{"type":"url_verification","challenge":"x"}'

    reply = await here.post(body, sent("slack", "0" * 32, body))

    assert (reply.status, reply.json()["code"]) == (401, "invalid_signature")


async def test_a_handshake_by_get_is_answered_to_whoever_knows_the_verify_token() -> None:
    here = Site({WEBHOOK_ID: having("meta", "app-secret:meatyhamhock")})
    query = b"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="

    right = await here.request("GET", PATH, query_string=query + b"meatyhamhock")
    wrong = await here.request("GET", PATH, query_string=query + b"other")

    assert (right.status, right.body) == (200, b"1158201444")
    assert (wrong.status, wrong.json()["code"]) == (401, "invalid_signature")


async def test_a_get_is_refused_where_the_provider_has_no_such_handshake() -> None:
    here = Site({WEBHOOK_ID: having("slack", SLACK_SECRET)})

    assert (await here.request("GET", PATH, query_string=b"challenge=1")).status == 405


async def test_a_computed_handshake_shows_that_the_secret_is_known() -> None:
    secret = "wJ9JpfmBS-mHEKWqGVY0MQ"
    here = Site({WEBHOOK_ID: having("zoom", secret)})
    body = json.dumps(
        {"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}
    ).encode()

    reply = await here.post(body, sent("zoom", secret, body))

    assert reply.json() == {
        "plainToken": "qgg8vlvZRS6UYooatFL8Aw",
        "encryptedToken": "ee0d9eeea22269c7be4081298d959fae0d416e3e9210351b6b718a4496e8aa1a",
    }


async def test_a_secret_that_cannot_be_stored_now_may_be_brought_again() -> None:
    here = Site({WEBHOOK_ID: endpoint("asana", [], authentication_required=True)})
    assert (await here.post(b"{}")).status == 401
    here.store.is_away = True

    reply = await here.post(
        b"", {"x-hook-secret": "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"}
    )

    assert (reply.status, reply.json()["code"]) == (503, "database_unavailable")
