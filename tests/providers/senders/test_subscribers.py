"""Twitch, Notion, Dropbox, Telegram, Trello, CloudEvents: with packages that sign or verify for them, if there are."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from unittest.mock import AsyncMock, Mock

import msgspec
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from twitchAPI.eventsub.webhook import EventSubWebhook

from kanca.providers import Draft, RefusalCode, Verified, compile_extractor, get_provider
from tests.providers.arriving import arriving
from tests.providers.senders.exchange import URL, arrives, ask_node, departs, refusal
from tests.providers.senders.validators import nuxt_accepts

SECRET = "s3cRe7-of-the-subscription"
NOTION_TOKEN = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"


def changed(sent: Draft) -> Draft:
    return msgspec.structs.replace(sent, body=sent.body + b" ")


async def test_twitchs_packages_accept_what_we_sign() -> None:
    sent = departs("twitch", SECRET)
    hook = EventSubWebhook("https://kanca.example", 8080, Mock())
    hook.secret = SECRET

    async def is_accepted(draft: Draft) -> bool:
        request = Mock(headers=draft.headers, text=AsyncMock(return_value=draft.body.decode()))
        return bool(await hook._verify_signature(request))  # noqa: SLF001 - the public way needs a server

    assert await is_accepted(sent)
    assert not await is_accepted(changed(sent))
    assert nuxt_accepts("twitch", {"secretKey": SECRET}, [sent, changed(sent)]) == [True, False]


def test_a_signature_of_twitch_covers_its_time_to_the_nanosecond() -> None:
    headers = {
        "Twitch-Eventsub-Message-Id": "e76c6bd4-55c9-4987-8304-da1588d8988b",
        "Twitch-Eventsub-Message-Timestamp": "2019-11-16T10:11:12.634234626Z",
        "Twitch-Eventsub-Message-Signature": "sha256="
        "4759321ff56b9b75857e86cd4b2cf20cf4b73facd1a8cb05daf7781c649b5d4b",
    }
    at = datetime(2019, 11, 16, 10, 11, 13, tzinfo=UTC).timestamp()
    assert isinstance(arrives("twitch", headers, b'{"a":1}', "s3cRe7", now=at), Verified)
    late = arrives("twitch", headers, b'{"a":1}', "s3cRe7", now=at + 600)
    assert refusal(late) is RefusalCode.TIMESTAMP_TOO_OLD


def test_notions_package_signs_and_accepts() -> None:
    body = '{"id":"e-1","type":"page.created","title":"Çay ☕"}'
    sent = departs("notion", NOTION_TOKEN)
    script = """
        const { signWebhookPayload, verifyWebhookSignature } = await import("@notionhq/client");
        const { verificationToken, body, drafts } = question;
        return {
            signature: await signWebhookPayload({ body, verificationToken }),
            accepted: await Promise.all(drafts.map(([body, signature]) =>
                verifyWebhookSignature({ body, signature, verificationToken }))),
        };
    """
    signature = sent.headers["X-Notion-Signature"]
    drafts = [[sent.body.decode(), signature], [sent.body.decode() + " ", signature]]
    answer = ask_node(script, {"verificationToken": NOTION_TOKEN, "body": body, "drafts": drafts})

    assert answer["accepted"] == [True, False]
    headers = {"X-Notion-Signature": answer["signature"]}
    assert isinstance(arrives("notion", headers, body.encode(), NOTION_TOKEN), Verified)
    wrong = arrives("notion", headers, body.encode() + b" ", NOTION_TOKEN)
    assert refusal(wrong) is RefusalCode.SIGNATURE_MISMATCH


def test_a_validator_accepts_what_we_sign_for_dropbox() -> None:
    sent = departs("dropbox", SECRET)
    assert nuxt_accepts("dropbox", {"appSecret": SECRET}, [sent, changed(sent)]) == [True, False]


@pytest.mark.parametrize(
    ("provider", "secret", "header", "value", "body", "url"),
    [
        (
            "trello",
            "secret",
            "X-Trello-Webhook",
            "B3RnoCPFLHiNa78Vo68wtwXC0QY=",
            b'{"a":1}',
            "https://example.com/trello",
        ),
        (
            "notion",
            "secret_x",
            "X-Notion-Signature",
            "sha256=a3f512e04ad20b638d4b5620718c53ced025c5158470ca9f716ae89d00593d62",
            b"{}",
            URL,
        ),
        ("xero", "k", "x-xero-signature", "rdhTsQP7zJNqGU+esV4pxP8Ir25H1dG8pPICGOMeT/8=", b"{}", URL),
        (
            "asana",
            "k",
            "X-Hook-Signature",
            "add853b103fbcc936a194f9eb15e29c4ff08af6e47d5d1bca4f20218e31e4fff",
            b"{}",
            URL,
        ),
    ],
)
def test_a_worked_out_signature_is_accepted(
    provider: str, secret: str, header: str, value: str, body: bytes, url: str
) -> None:
    assert isinstance(arrives(provider, {header: value}, body, secret, url=url), Verified)
    wrong = arrives(provider, {header: value}, body + b" ", secret, url=url)
    assert refusal(wrong) is RefusalCode.SIGNATURE_MISMATCH


def test_trello_signs_the_address_too() -> None:
    sent = departs("trello", SECRET, url=URL)
    assert isinstance(arrives("trello", sent.headers, sent.body, SECRET, url=URL), Verified)
    other = arrives("trello", sent.headers, sent.body, SECRET, url=URL + "?x=1")
    assert refusal(other) is RefusalCode.SIGNATURE_MISMATCH


def test_telegrams_library_accepts_what_we_send() -> None:
    right, wrong = departs("telegram", "the-secret-token"), departs("telegram", "another-secret-token")
    script = """
        const { Bot, webhookCallback } = await import("grammy");
        const bot = new Bot("1:x", { botInfo: { id: 1, is_bot: true, first_name: "b", username: "b" } });
        bot.on("message", () => {});
        const take = webhookCallback(bot, "std/http", { secretToken: "the-secret-token" });
        const statuses = [];
        for (const { headers, body } of question) {
            const request = new Request("https://kanca.example/", { method: "POST", headers, body });
            statuses.push((await take(request)).status);
        }
        return statuses;
    """
    question = [{"headers": sent.headers, "body": sent.body.decode()} for sent in (right, wrong)]
    assert ask_node(script, question) == [200, 401]


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
def test_events_as_cloudevents_package_writes_them_are_read(write: object) -> None:
    assert callable(write)
    event = CloudEvent(
        {
            "type": "com.example.paid",
            "source": "/orders",
            "id": "A-1",
            "time": datetime.fromtimestamp(time.time(), UTC),
            "specversion": "1.0",
        },
        {"total": 30},
    )
    message = write(event)
    headers = {**message.headers, "Authorization": "Bearer a-token-of-ours"}
    assert isinstance(arrives("cloudevents", headers, message.body, "a-token-of-ours"), Verified)
    assert refusal(arrives("cloudevents", headers, message.body, "other")) is RefusalCode.TOKEN_MISMATCH
    request = arriving(headers, message.body)
    found = compile_extractor(get_provider("cloudevents")).extract(
        request.headers, request.document(), None, request.body
    )
    assert (found.event_type, found.delivery_id) == ("com.example.paid", "/orders A-1")


def test_a_token_in_the_address_is_for_the_variant_only() -> None:
    url, query = URL + "?access_token=a-token-of-ours", {"variant": "query"}
    assert isinstance(arrives("cloudevents", {}, b"{}", "a-token-of-ours", url=url, options=query), Verified)
    assert refusal(arrives("cloudevents", {}, b"{}", "a-token-of-ours", url=url)) is RefusalCode.TOKEN_MISSING
