"""Bodies whose items are signed one by one, and signatures that are delivery ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kanca.errors import InvalidInput
from kanca.providers import (
    ProviderSpec,
    Refusal,
    RefusalCode,
    SignedRequest,
    Verdict,
    Verified,
    compile_extractor,
    compile_verifier,
    make_delivery,
    sign,
)
from kanca.providers.schemes.items import MOST_ITEMS
from tests.providers.arriving import NOW, arriving, own_spec

SECRET = "a-secret-of-its-own"
ITEMS = [{"id": 1, "note": "a", "proof": {}}, {"id": 2, "note": "b", "proof": {}}]
SIGNATURE = {
    "body": "proof.mac",
    "each": "data.items",
    "signed_content": "{body:id}",
    "body_unsigned": True,
    "signature_is_id": True,
}
SPEC = own_spec(SIGNATURE, delivery_id=["{id}"])


def signed(items: list[dict[str, Any]], spec: ProviderSpec = SPEC) -> SignedRequest:
    body = json.dumps({"data": {"items": items}}).encode()
    return sign(spec, None, SECRET, make_delivery(spec, None, now=NOW, body=body).draft).request()


def verdict(request: SignedRequest, *secrets: str) -> Verdict:
    return compile_verifier(SPEC).verify(request, secrets or [SECRET], NOW)


def changed(request: SignedRequest, change: Any) -> SignedRequest:
    document = json.loads(request.body)
    change(document["data"]["items"])
    return arriving({}, json.dumps(document).encode())


def code(request: SignedRequest) -> RefusalCode:
    refused = verdict(request)
    assert isinstance(refused, Refusal)
    return refused.code


def test_every_item_must_be_right() -> None:
    request = signed(ITEMS)
    assert isinstance(verdict(request, "another secret", SECRET), Verified)
    assert code(changed(request, lambda items: items[1].update(id=3))) is RefusalCode.SIGNATURE_MISMATCH
    assert code(changed(request, lambda items: items[1].pop("proof"))) is RefusalCode.SIGNATURE_MISSING
    assert code(changed(request, lambda items: items.append(7))) is RefusalCode.SIGNATURE_MISSING
    assert code(changed(request, lambda items: items.clear())) is RefusalCode.SIGNATURE_MISSING
    assert code(arriving({}, b'{"data": {"items": {}}}')) is RefusalCode.SIGNATURE_MISSING


def test_there_is_a_limit_to_the_items() -> None:
    items = [{"id": number, "proof": {}} for number in range(MOST_ITEMS + 1)]
    assert isinstance(verdict(signed(items[:MOST_ITEMS])), Verified)
    assert code(signed(items)) is RefusalCode.SIGNATURE_MALFORMED


def test_what_is_not_signed_or_in_another_order_is_the_same_delivery() -> None:
    request = signed(ITEMS)
    first = verdict(request)
    other = verdict(changed(request, lambda items: (items.reverse(), items[0].update(note="c"))))
    assert isinstance(first, Verified)
    assert first == other
    assert first.signed_id
    assert verdict(signed(ITEMS[:1])) != first
    assert SPEC.delivery_id_signed
    found = compile_extractor(SPEC).extract({}, None, first.signed_id)
    assert found.delivery_id == first.signed_id.decode()


def test_one_signature_is_its_own_id() -> None:
    request = signed(ITEMS[:1])
    one = verdict(request)
    assert isinstance(one, Verified)
    assert one.signed_id == json.loads(request.body)["data"]["items"][0]["proof"]["mac"].encode()


def test_a_field_of_an_item_is_covered_where_the_item_says_so() -> None:
    for template, is_signed in {"{body:data.items.0.id}": True, "{body:data.items.0.note}": False}.items():
        assert own_spec(SIGNATURE, delivery_id=[template]).delivery_id_signed is is_signed


@pytest.mark.parametrize("body", [b"no JSON", b"{}", b'{"data": {"items": [7]}}'])
def test_a_body_without_a_place_for_signatures_cannot_be_signed(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        sign(SPEC, None, SECRET, make_delivery(SPEC, None, now=NOW, body=body).draft)
