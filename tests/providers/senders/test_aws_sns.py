"""AWS's own validator accepts what we sign, by either version and for each type of message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from kanca.providers import Verified, get_provider, issue, make_delivery, sign
from tests.providers.senders.exchange import arrives, ask_node

SNS = get_provider("aws-sns")
TOPIC = "arn:aws:sns:us-east-1:123456789012:orders"
NOW = 1_700_000_000.0
BARE = {
    "Type": "Notification",
    "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    "TopicArn": TOPIC,
    "Message": "line one\nMessageId\nline three ☃",
    "Timestamp": "2023-11-14T22:13:20.123Z",
}
SUBJECT = BARE | {"Subject": "My First Message"}
CONFIRMATION = BARE | {
    "Type": "SubscriptionConfirmation",
    "Token": "2336412f37",
    "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37",
}

_VALIDATE = """
    const Validator = (await import("sns-validator")).default;
    const https = (await import("node:https")).default;
    const { Readable } = await import("node:stream");
    https.get = (url, then) => {
        const response = Readable.from([question.pem]); response.statusCode = 200; then(response); return response;
    };
    return Promise.all(question.messages.map((message) => new Promise((done) =>
        new Validator().validate(message, (error) => done(error?.message ?? "valid")))));
"""


def test_awss_validator_accepts_what_we_sign() -> None:
    issued = issue(SNS)
    signature: Any = SNS.signatures[0]
    older = replace(
        SNS, signatures=(replace(signature, algorithm=replace(signature.algorithm, names={"1": "sha1"})),)
    )
    messages = []
    for spec in (SNS, older):
        for message in (BARE, SUBJECT, CONFIRMATION):
            draft = make_delivery(spec, None, now=NOW, body=json.dumps(message).encode()).draft
            signed = sign(spec, None, issued.signing, draft)
            taken = arrives(
                "aws-sns", signed.headers, signed.body, issued.checking, now=NOW, documents=issued.documents
            )
            assert isinstance(taken, Verified)
            messages.append(json.loads(signed.body))
    pem = next(iter(issued.documents.values())).decode()

    answers = ask_node(_VALIDATE, {"pem": pem, "messages": messages})
    changed = ask_node(
        _VALIDATE, {"pem": pem, "messages": [{**message, "Message": "other"} for message in messages]}
    )

    assert answers == ["valid"] * 6
    assert "valid" not in changed


@pytest.mark.parametrize("field", ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"])
def test_every_signed_field_counts(field: str) -> None:
    issued = issue(SNS)
    draft = make_delivery(SNS, None, now=NOW, body=json.dumps(SUBJECT).encode()).draft
    signed = sign(SNS, None, issued.signing, draft)
    message = json.loads(signed.body)
    changes: list[dict[str, Any]] = [{**message, field: message[field] + "x"}, {**message}]
    del changes[1][field]
    for changed in changes:
        body = json.dumps(changed).encode()
        verdict = arrives(
            "aws-sns", signed.headers, body, issued.checking, now=NOW, documents=issued.documents
        )
        assert not isinstance(verdict, Verified)
