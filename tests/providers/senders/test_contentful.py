"""Contentful's own toolkit signs canonical requests, and accepts ours."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from kanca.providers import Draft, RefusalCode, Verified
from tests.providers.senders.exchange import URL, arrives, ask_node, departs, refusal

SECRET = "a" * 64
BODY = '{"sys":{"id":"çay"}}'
SIGN = """
    const { signRequest, verifyRequest } = await import("@contentful/node-apps-toolkit");
    const signed = question.urls.map((path) =>
        signRequest(question.secret, { method: "POST", path, headers: question.headers, body: question.body }));
    const verdicts = question.sent.map(({ path, headers, body }) =>
        verifyRequest(question.secret, { method: "POST", path, headers, body }, 30));
    return { signed, verdicts };
"""
HEADERS = {"X-Contentful-Topic": "ContentManagement.Entry.publish", "X-Other": " spaced "}
URLS = [URL, URL + "?a=1&b=%20x/(y)", URL + "/%C3%A7 !'*~;", URL + "?", URL + "?a?b"]


def path_of(url: str) -> str:
    return url.removeprefix("https://kanca.example")


def asked(draft: Draft, body: bytes) -> dict[str, Any]:
    path = urlsplit(draft.url).path + "?" + urlsplit(draft.url).query
    return {"path": path, "headers": draft.headers, "body": body.decode()}


def test_each_accepts_what_the_other_signs() -> None:
    sent = departs("contentful", SECRET, url=URL + "?a=1&b=%20")
    question = {
        "secret": SECRET,
        "headers": HEADERS,
        "body": BODY,
        "urls": [path_of(url) for url in URLS],
        "sent": [asked(sent, sent.body), asked(sent, sent.body + b" ")],
    }
    answer = ask_node(SIGN, question)
    assert answer["verdicts"] == [True, False]
    for url, signed in zip(URLS, answer["signed"], strict=True):
        # Blanks around a header's value are not of it (RFC 9110, 5.5); servers give it without them.
        headers = {name: value.strip() for name, value in HEADERS.items()} | signed
        written = int(signed["x-contentful-timestamp"])
        assert arrives("contentful", headers, BODY.encode(), SECRET, url=url) == Verified(
            0, written / 1000
        ), url
        for changed in (
            arrives("contentful", headers, BODY.encode() + b" ", SECRET, url=url),
            arrives("contentful", headers, BODY.encode(), SECRET, url=url.replace("shop", "other")),
            arrives("contentful", headers, BODY.encode(), SECRET, url=url, method="PUT"),
            arrives("contentful", {**headers, "X-Contentful-Topic": "other"}, BODY.encode(), SECRET, url=url),
        ):
            assert refusal(changed) is RefusalCode.SIGNATURE_MISMATCH


def test_timestamp_and_list_must_be_signed_themselves() -> None:
    sent = departs("contentful", SECRET)
    for listed, code in (
        ("x-contentful-timestamp", RefusalCode.SIGNED_HEADER_MISSING),
        ("x-contentful-signed-headers", RefusalCode.SIGNED_HEADER_MISSING),
        (",".join(f"x-{number}" for number in range(101)), RefusalCode.SIGNED_HEADER_MALFORMED),
        ("", RefusalCode.SIGNED_HEADER_MISSING),
    ):
        headers = {**sent.headers, "x-contentful-signed-headers": listed}
        assert refusal(arrives("contentful", headers, sent.body, SECRET)) is code
    late = arrives("contentful", sent.headers, sent.body, SECRET, now=time.time() + 60)
    assert refusal(late) is RefusalCode.TIMESTAMP_TOO_OLD
