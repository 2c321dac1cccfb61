from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from kanca.domain.endpoint import Endpoint, Secret
from kanca.errors import EgressFailed
from kanca.providers import Issued, get_provider, issue, make_delivery, sign
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


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            b"hub.mode=subscribe&hub.challenge=1&hub.verify_token=guessed",
            "`subscribe`: `{query:hub.verify_token}` is not `{secret:verify_token}` of any secret of the endpoint",
        ),
        (
            b"hub.mode=guessed&hub.challenge=1&hub.verify_token=meatyhamhock",
            "`subscribe`: `{query:hub.mode}` is not `subscribe`",
        ),
        (b"hub.mode=subscribe&hub.verify_token=meatyhamhock", "`subscribe`: what its answer needs"),
        (b"hub.mode=guessed", "none of the provider's handshakes"),
    ],
)
async def test_what_keeps_a_request_from_being_a_handshake_is_told_in_words_of_the_spec(
    query: bytes, told: str
) -> None:
    here = Site({WEBHOOK_ID: having("meta", "app-secret:meatyhamhock")})

    assert (await here.request("GET", PATH, query_string=query)).code == "invalid_signature"

    await here.ingest.stop(timedelta(seconds=1))
    (rejection,) = here.store.rejected
    assert rejection.code == "handshake_refused"
    assert told in rejection.detail
    assert "guessed" not in rejection.detail
    assert "meatyhamhock" not in rejection.detail


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


# --- Certificates and visits -----------------------------------------------------------------------------------------

TOPIC = "arn:aws:sns:us-east-1:123456789012:orders"
CONFIRM = "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + TOPIC + "&Token=2336"
SNS = get_provider("aws-sns")
SNS_ISSUED = issue(SNS)


@dataclass
class Outside:
    """What a gateway reaches: documents by address, and whatever answers at others."""

    documents: Mapping[str, bytes]
    status: int = 200
    is_down: bool = False
    asked: list[str] = field(default_factory=list)

    async def get(self, url: str) -> tuple[int, bytes]:
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.is_down:
            raise EgressFailed("refused", reason="connection_refused")
        if url in self.documents:
            return 200, self.documents[url]
        return self.status, b""


def sns_message(kind: str, message_id: str = "m-1", **more: str) -> tuple[bytes, dict[str, str]]:
    message = {
        "Type": kind,
        "MessageId": message_id,
        "TopicArn": TOPIC,
        "Message": "Hello",
        "Timestamp": NOON.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **more,
    }
    draft = make_delivery(SNS, None, now=NOON.timestamp(), body=json.dumps(message).encode()).draft
    signed = sign(SNS, None, SNS_ISSUED.signing.replace(SNS_ISSUED.checking, TOPIC), draft)
    return signed.body, signed.headers


def sns_site(outside: Outside, *topics: str) -> Site:
    secrets = [Secret(topic) for topic in topics or (TOPIC,)]
    return Site({WEBHOOK_ID: endpoint("aws-sns", secrets)}, get=outside.get)


async def test_a_subscription_is_confirmed_by_calling_the_address_in_it() -> None:
    outside = Outside(SNS_ISSUED.documents)
    here = sns_site(outside)

    reply = await here.post(*sns_message("SubscriptionConfirmation", SubscribeURL=CONFIRM, Token="2336"))

    assert reply.status == 200
    assert outside.asked == [*SNS_ISSUED.documents, CONFIRM]
    assert not here.accepting.events


@pytest.mark.parametrize("status", [302, 403, 500])
async def test_a_subscription_that_cannot_be_confirmed_is_asked_for_again(status: int) -> None:
    here = sns_site(Outside(SNS_ISSUED.documents, status=status))

    reply = await here.post(*sns_message("SubscriptionConfirmation", SubscribeURL=CONFIRM, Token="2336"))

    assert (reply.status, reply.json()["code"]) == (503, "handshake_failed")
    assert not here.accepting.events


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/?Action=ConfirmSubscription",
        "http://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
        "https://sns.us-east-1.amazonaws.com:22/?Action=ConfirmSubscription",
        "https://user@sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
    ],
)
async def test_no_address_but_amazons_is_called(address: str) -> None:
    outside = Outside(SNS_ISSUED.documents)
    here = sns_site(outside)

    await here.post(*sns_message("SubscriptionConfirmation", SubscribeURL=address, Token="2336"))

    assert outside.asked == [*SNS_ISSUED.documents]


async def test_a_stranger_cannot_subscribe_the_endpoint_to_a_topic_of_theirs() -> None:
    outside = Outside(SNS_ISSUED.documents)
    here = sns_site(outside, TOPIC + "-of-ours")

    reply = await here.post(*sns_message("SubscriptionConfirmation", SubscribeURL=CONFIRM, Token="2336"))

    assert reply.status == 401
    assert CONFIRM not in outside.asked


async def test_the_end_of_a_subscription_is_no_event_and_calls_nobody() -> None:
    outside = Outside(SNS_ISSUED.documents)
    here = sns_site(outside)

    reply = await here.post(*sns_message("UnsubscribeConfirmation", SubscribeURL=CONFIRM, Token="2336"))

    assert reply.status == 200
    assert outside.asked == [*SNS_ISSUED.documents]
    assert not here.accepting.events


async def test_a_certificate_is_fetched_once_for_many_messages() -> None:
    outside = Outside(SNS_ISSUED.documents)
    here = sns_site(outside)

    replies = await asyncio.gather(
        *(here.post(*sns_message("Notification", f"m-{number}")) for number in range(10))
    )

    assert {reply.status for reply in replies} == {200}
    assert len(here.accepting.events) == 10
    assert outside.asked == [*SNS_ISSUED.documents]


async def test_while_the_certificate_cannot_be_had_the_sender_is_to_try_again() -> None:
    here = sns_site(Outside({}, is_down=True))

    reply = await here.post(*sns_message("Notification"))

    assert (reply.status, reply.json()["code"]) == (503, "key_unavailable")
    assert reply.headers["retry-after"] == "30"
    assert not here.accepting.events


async def test_a_key_that_the_provider_does_not_have_is_looked_for_once_more_only() -> None:
    spec = get_provider("google-pubsub")
    issued, other = issue(spec), issue(spec)
    (url,) = issued.documents
    renamed = json.loads(issued.documents[url])
    renamed["keys"][0]["kid"] = "newer"
    outside = Outside({url: json.dumps(renamed).encode()})
    here = Site({WEBHOOK_ID: having("google-pubsub", issued.checking)}, get=outside.get)

    for _ in range(5):
        draft = make_delivery(spec, None, now=NOON.timestamp()).draft
        signed = sign(spec, None, other.signing, draft)
        assert (await here.post(signed.body, signed.headers)).status == 401

    assert outside.asked == [url]


# --- Secrets that the provider brings --------------------------------------------------------------------------------

ASANA_SECRET = "b537207f20cbfa02357cf448134da559e8bd39d61597dcd5631b8012eae53e81"
NOTION_TOKEN = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"


def waiting(provider: str) -> Site:
    """A site with an endpoint whose secret the provider is to bring, made at noon; its slug is `orders`."""
    alone = endpoint(provider, [])
    return Site({WEBHOOK_ID: alone, "/orders": alone})


def hex_of(secret: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), body, "sha256").hex()


async def bring_asana(here: Site, secret: str = ASANA_SECRET, **scope: Any) -> Any:
    return await here.post(b"", {"X-Hook-Secret": secret}, **scope)


async def bring_notion(here: Site, signed_with: str = NOTION_TOKEN, **scope: Any) -> Any:
    body = json.dumps({"verification_token": NOTION_TOKEN}).encode()
    headers = {
        "X-Notion-Signature": "sha256=" + hex_of(signed_with, body),
        "Content-Type": "application/json",
    }
    return await here.post(body, headers, **scope)


async def test_asanas_secret_is_stored_sent_back_and_used_from_then_on() -> None:
    here = waiting("asana")
    body = b'{"events":[{"action":"changed","resource":{"resource_type":"task"}}]}'
    headers = {"X-Hook-Signature": hex_of(ASANA_SECRET, body), "Content-Type": "application/json"}
    assert (await here.post(body, headers)).status == 401

    reply = await bring_asana(here)

    assert (reply.status, reply.headers["x-hook-secret"]) == (200, ASANA_SECRET)
    assert here.store.endpoints[WEBHOOK_ID].secrets == (Secret(ASANA_SECRET),)
    assert not here.accepting.events
    assert (await here.post(body, headers)).status == 200
    assert here.event.type == "task.changed"
    wrong = {**headers, "X-Hook-Signature": hex_of(ASANA_SECRET[::-1], body)}
    assert (await here.post(body, wrong)).status == 401


async def test_asanas_heartbeat_is_answered_and_no_event() -> None:
    here = waiting("asana")
    await bring_asana(here)
    body = b'{"events":[]}'

    reply = await here.post(
        body, {"X-Hook-Signature": hex_of(ASANA_SECRET, body), "Content-Type": "application/json"}
    )

    assert reply.status == 200
    assert not here.accepting.events
    assert (await here.post(body, {"Content-Type": "application/json"})).status == 401


async def test_notions_token_is_stored_when_it_signs_its_own_request() -> None:
    here = waiting("notion")
    assert (await bring_notion(here, signed_with="another-token")).status == 401
    assert here.store.endpoints[WEBHOOK_ID].secrets == ()

    assert (await bring_notion(here)).status == 200

    assert here.store.endpoints[WEBHOOK_ID].secrets == (Secret(NOTION_TOKEN),)
    body = b'{"id":"e-1","type":"page.created"}'
    headers = {
        "X-Notion-Signature": "sha256=" + hex_of(NOTION_TOKEN, body),
        "Content-Type": "application/json",
    }
    assert (await here.post(body, headers)).status == 200
    assert here.event.type == "page.created"


@pytest.mark.parametrize("bring", [bring_asana, bring_notion])
async def test_a_secret_that_is_brought_again_is_answered_again(bring: Any) -> None:
    here = waiting("asana" if bring is bring_asana else "notion")
    assert [(await bring(here)).status for _ in range(3)] == [200, 200, 200]


async def test_no_second_secret_is_taken() -> None:
    here = waiting("asana")
    await bring_asana(here)

    reply = await bring_asana(here, "another-secret-of-somebody-else")

    assert (reply.status, reply.json()["code"]) == (401, "invalid_signature")
    assert "x-hook-secret" not in reply.headers
    assert here.store.endpoints[WEBHOOK_ID].secrets == (Secret(ASANA_SECRET),)


async def test_of_two_processes_one_stores_the_secret() -> None:
    here = waiting("asana")
    await here.post(b"{}")  # the endpoint is known here
    await here.store.set_first_secret(WEBHOOK_ID, "the-secret-that-came-elsewhere")

    assert (await bring_asana(here)).status == 401


@pytest.mark.parametrize("provider", ["asana", "notion"])
async def test_no_secret_is_taken_at_the_short_address(provider: str) -> None:
    here = waiting(provider)
    bring = bring_asana if provider == "asana" else bring_notion

    assert (await bring(here, path="/webhooks/orders")).status == 401
    assert here.store.endpoints[WEBHOOK_ID].secrets == ()


async def test_no_secret_is_taken_after_a_day_until_the_endpoint_is_changed() -> None:
    here = waiting("asana")
    here.clock.now += 86_401

    assert (await bring_asana(here)).status == 401

    changed = replace(here.store.endpoints[WEBHOOK_ID], updated_at=NOON.replace(day=22))
    here.store.endpoints[WEBHOOK_ID] = changed
    here.store.version += 1
    await here.ingest._endpoints.run_once()  # noqa: SLF001 - what its duty does twice a second
    assert (await bring_asana(here)).status == 200


@pytest.mark.parametrize("secret", ["", "x", "a" * 600, "with\ttab-in-the-middle"])
async def test_what_is_no_secret_is_not_stored(secret: str) -> None:
    here = waiting("asana")

    assert (await bring_asana(here, secret)).status == 401
    assert here.store.endpoints[WEBHOOK_ID].secrets == ()


# --- Other methods, and answers without a body -----------------------------------------------------------------------


async def test_xero_sees_right_and_wrong_signatures_told_apart_without_a_word() -> None:
    secret = "o9CJ1yy4uHKOQAQhG4bYVbuZNHXzIiZs3xJm1tNQ7GnSVXKKbF9q7yRk2ZxlJA=="
    here = Site({WEBHOOK_ID: having("xero", secret)})
    body = b'{"events":[],"firstEventSequence":0,"lastEventSequence":0,"entropy":"S0m3r4Nd0mt3xt"}'

    right = await here.post(body, sent("xero", secret, body))
    wrong = await here.post(body, sent("xero", secret[::-1], body))

    assert (right.status, right.body) == (200, b"")
    assert (wrong.status, wrong.body, wrong.headers["content-length"]) == (401, b"", "0")
    assert not here.accepting.events


async def test_xeros_webhooks_are_answered_without_a_body() -> None:
    here = Site({WEBHOOK_ID: having("xero", "a-webhooks-key")})
    body = b'{"events":[{"eventCategory":"INVOICE","eventType":"UPDATE"}],"entropy":"x"}'

    reply = await here.post(body, sent("xero", "a-webhooks-key", body))

    assert (reply.status, reply.body) == (200, b"")
    assert here.event.type == "INVOICE.UPDATE"


async def test_a_look_by_head_is_answered_where_the_provider_looks_so() -> None:
    looked = await Site({WEBHOOK_ID: having("trello", "the-oauth-secret")}).request("HEAD", PATH)
    other = await Site({WEBHOOK_ID: having("slack", SLACK_SECRET)}).request("HEAD", PATH)

    assert (looked.status, looked.body) == (200, b"")
    assert other.status == 405


async def test_consent_and_a_browsers_question_are_told_apart() -> None:
    here = Site({WEBHOOK_ID: endpoint("cloudevents", [Secret("a-token-of-ours")], enable_cors=True)})

    consent = await here.request(
        "OPTIONS",
        PATH,
        headers={"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "120"},
    )
    preflight = await here.request(
        "OPTIONS", PATH, headers={"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    )

    assert consent.status == 200
    assert consent.headers["webhook-allowed-origin"] == "eventemitter.example.com"
    assert consent.headers["webhook-allowed-rate"] == "*"
    assert consent.headers["allow"] == "POST"
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "webhook-allowed-origin" not in preflight.headers
    assert not here.accepting.events


@pytest.mark.parametrize("asked", [{}, {"WebHook-Request-Origin": ""}])
async def test_options_without_a_question_gets_no_consent(asked: dict[str, str]) -> None:
    here = Site({WEBHOOK_ID: endpoint("cloudevents", [Secret("a-token-of-ours")], enable_cors=False)})

    reply = await here.request("OPTIONS", PATH, headers=asked)

    assert reply.status == 401
    assert "webhook-allowed-origin" not in reply.headers


async def test_okta_reads_its_challenge_by_get() -> None:
    here = Site({WEBHOOK_ID: having("okta", "the-authentication-secret")})

    right = await here.request("GET", PATH, headers={"x-okta-verification-challenge": "abc"})
    bare = await here.request("GET", PATH)

    assert (right.status, right.json()) == (200, {"verification": "abc"})
    assert bare.status == 401


async def test_a_test_of_the_endpoint_is_checked_with_what_was_made_for_it() -> None:
    for name in ("paypal", "aws-sns", "google-pubsub"):
        spec = get_provider(name)
        issued: Issued = issue(spec)
        here = Site({WEBHOOK_ID: having(name, SNS_ISSUED.checking)})
        draft = sign(spec, None, issued.signing, make_delivery(spec, None, now=NOON.timestamp()).draft)

        answer = await here.ingest.test(WEBHOOK_ID, draft, issued)

        assert answer.status == 200, name
