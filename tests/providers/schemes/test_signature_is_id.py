"""Signatures as ids: one delivery has one, however it arrives."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kanca.errors import InvalidProvider
from kanca.providers import Verified, compile_verifier, get_provider
from tests.providers.arriving import NOW, own_spec, sent

SECRET = "0123456789abcdef0123456789abcdef"
URL = "https://h.example/api/webhooks/wh_1"


@pytest.mark.parametrize("port", ["", ":1", ":443", ":8443", ":08443"])
def test_a_delivery_of_twilio_is_the_same_under_whatever_port_it_is_sent_again(port: str) -> None:
    spec = get_provider("twilio")
    verifier = compile_verifier(spec)
    request = sent(spec, None, SECRET, now=NOW, url=URL).request()

    first = verifier.verify(request, [SECRET], NOW)
    again = verifier.verify(replace(request, url=URL.replace("h.example", f"h.example{port}")), [SECRET], NOW)

    assert isinstance(first, Verified)
    assert isinstance(again, Verified)
    assert again.signed_id == first.signed_id is not None


@pytest.mark.parametrize("scheme", ["ed25519", "ecdsa", "rsa"])
def test_a_signature_that_nobody_here_can_make_again_is_no_id(scheme: str) -> None:
    with pytest.raises(InvalidProvider, match="signature_is_id is for secrets"):
        own_spec({"scheme": scheme, "header": "X-Signature", "signature_is_id": True})
