"""What is signed of a request."""

from __future__ import annotations

import json

import pytest

from kanca.providers import Refusal, RefusalCode, Verified, compile_verifier
from tests.providers.arriving import NOW, arriving, own_spec, sign

SECRET = "a secret of ours"


@pytest.mark.parametrize("missing", [{}, {"note": None}, {"note": ""}])
@pytest.mark.parametrize("other", [{"more": 1}, [], ["a"], 1.5])
def test_only_what_is_not_there_is_empty_in_what_is_signed(missing: dict[str, object], other: object) -> None:
    signed_content = "{body:id}:{body:note?}"
    spec = own_spec({"header": "X-Signature", "signed_content": signed_content, "body_unsigned": True})
    verifier = compile_verifier(spec)
    body = json.dumps({"id": "1"} | missing).encode()
    headers = sign(spec, None, SECRET, body, NOW, "dlv-1", "order.paid")

    right = verifier.verify(arriving(headers, body), [SECRET], NOW)
    changed = json.dumps({"id": "1", "note": other}).encode()
    wrong = verifier.verify(arriving(headers, changed), [SECRET], NOW)

    assert isinstance(right, Verified)
    assert isinstance(wrong, Refusal)
    assert wrong.code is RefusalCode.SIGNED_FIELD_MISSING
