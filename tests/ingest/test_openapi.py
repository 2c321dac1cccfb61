"""What the document says of the addresses that senders call is what they answer."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no types

from kanca.ingest.openapi import ingest_document
from kanca.ingest.refusal import RULES
from kanca.ingest.routes import find_route
from tests.ingest.site import BEARER, ENVELOPE, PATH, WEBHOOK_ID, signed, site

DOCUMENT = ingest_document()
RESUME = "/webhooks/resume/{token}"
BODY = b'{"event_type": "order.created", "event_id": "o-1", "data": {}}'


def _schema(path: str) -> Draft202012Validator:
    answers = DOCUMENT["paths"][path]["post"]["responses"]
    return Draft202012Validator(answers["200"]["content"]["application/json"]["schema"])


def test_every_address_is_one() -> None:
    for path in DOCUMENT["paths"]:
        assert find_route(path.format(webhook_id=WEBHOOK_ID, slug="orders", token="t0")) is not None


async def test_what_is_accepted_and_repeated_is_as_documented() -> None:
    here = site()
    for _ in range(2):
        for path, template in (
            (PATH, "/api/webhooks/{webhook_id}"),
            ("/webhooks/orders", "/webhooks/{slug}"),
        ):
            _schema(template).validate((await here.post(ENVELOPE, BEARER, path=path)).json())
        for path in ("/webhooks/receive", "/webhooks/receive-content-hash"):
            _schema(path).validate((await here.post(BODY, signed(BODY), path=path)).json())


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_every_refusal_is_documented_with_its_code(path: str) -> None:
    operation = DOCUMENT["paths"][path]["post"]
    documented: dict[str, int] = {}
    for status, reference in operation["responses"].items():
        if not status.startswith("2"):
            response: dict[str, Any] = DOCUMENT["components"]["responses"][
                reference["$ref"].rpartition("/")[2]
            ]
            for code, example in response["content"]["application/problem+json"]["examples"].items():
                assert example["value"]["code"] == code
                documented[code] = int(status)
    never = {"internal_error", "client_disconnected"}
    # A status that one of an address's refusals has is described with all codes that it can stand for anywhere.
    never |= {"run_failed"} if path == RESUME else {"resume_expired"}
    assert documented == {code: rule.status for code, rule in RULES.items() if code not in never}


def test_the_page_that_asks_is_documented_with_what_can_keep_it_from_being_shown() -> None:
    responses = DOCUMENT["paths"][RESUME]["get"]["responses"]
    assert responses["200"]["content"].keys() == {"text/html"}
    assert responses.keys() > {"404", "410", "429", "503"}


def test_every_example_is_valid() -> None:
    for path, item in DOCUMENT["paths"].items():
        answer = item["post"]["responses"]["200"]["content"]["application/json"]
        _schema(path).validate(answer["example"])
