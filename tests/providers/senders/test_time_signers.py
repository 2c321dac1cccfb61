"""Senders whose packages verify a signed time: Sanity, Linear, ElevenLabs and WorkOS."""

from __future__ import annotations

import json
import time

import pytest
from elevenlabs import ElevenLabs
from elevenlabs.errors import BadRequestError
from workos.webhooks._verification import verify_header

from kanca.providers import RefusalCode, Verified
from tests.providers.senders.exchange import arrives, ask_node, departs, refusal

SECRET = "wsec_8f742231b10e8888abcd99baac85a5f0"


def test_what_the_sanity_package_signs_is_accepted_and_it_accepts_what_we_sign() -> None:
    sent = departs("sanity", SECRET)
    body, now_ms = sent.body.decode(), int(time.time() * 1000)
    script = """
        const { encodeSignatureHeader, isValidSignature } = await import("@sanity/webhook");
        const { body, header, now_ms, secret } = question;
        return [
          await encodeSignatureHeader(body, now_ms, secret),
          await isValidSignature(body, header, secret), await isValidSignature(body + " ", header, secret),
        ];
    """
    header = sent.headers["sanity-webhook-signature"]
    theirs, taken, changed = ask_node(
        script, {"body": body, "header": header, "now_ms": now_ms, "secret": SECRET}
    )
    assert (taken, changed) == (True, False)
    headers = {"sanity-webhook-signature": theirs}
    assert arrives("sanity", headers, sent.body, SECRET) == Verified(0, now_ms / 1000)
    assert refusal(arrives("sanity", headers, b"{}", SECRET)) is RefusalCode.SIGNATURE_MISMATCH


def test_the_linear_package_accepts_what_we_sign() -> None:
    sent = departs("linear", SECRET)
    script = """
        const { LinearWebhookClient } = await import("@linear/sdk/webhooks");
        const client = new LinearWebhookClient(question.secret);
        return question.bodies.map((body) => {
          try { return client.verify(Buffer.from(body), question.signature); } catch { return false; }
        });
    """
    body = sent.body.decode()
    signature = sent.headers["Linear-Signature"]
    question = {"secret": SECRET, "signature": signature, "bodies": [body, body + " "]}
    assert ask_node(script, question) == [True, False]


def test_a_time_that_linear_says_a_minute_ago_is_too_old() -> None:
    now = time.time()
    sent = departs("linear", SECRET, now=now)
    assert isinstance(arrives("linear", sent.headers, sent.body, SECRET, now=now + 59), Verified)
    late = arrives("linear", sent.headers, sent.body, SECRET, now=now + 61)
    assert refusal(late) is RefusalCode.TIMESTAMP_TOO_OLD
    assert "webhookTimestamp" in json.loads(sent.body)


def test_the_elevenlabs_package_accepts_what_we_sign() -> None:
    client = ElevenLabs(api_key="k")
    sent = departs("elevenlabs", SECRET)
    signature = sent.headers["ElevenLabs-Signature"]
    event = client.webhooks.construct_event(sent.body.decode(), signature, SECRET)
    assert event["type"] == "post_call_transcription"
    with pytest.raises(BadRequestError):
        client.webhooks.construct_event(sent.body.decode() + " ", signature, SECRET)


def test_the_workos_package_accepts_what_we_sign() -> None:
    sent = departs("workos", SECRET)
    signature = sent.headers["WorkOS-Signature"]
    verify_header(event_body=sent.body, event_signature=signature, secret=SECRET)
    with pytest.raises(ValueError, match="does not match"):
        verify_header(event_body=sent.body + b" ", event_signature=signature, secret=SECRET)
