"""Dropbox Sign's own package accepts what is signed here."""

from __future__ import annotations

from dropbox_sign import EventCallbackHelper
from dropbox_sign.models import EventCallbackRequest

from kanca.providers import RefusalCode, Verified, compile_extractor, get_provider
from tests.providers.senders.exchange import arrives, departs, refusal

KEY = "324335deaf0000000000000000000000"


def test_the_dropbox_sign_package_accepts_what_we_sign() -> None:
    sent = departs("dropbox-sign", KEY)
    request = sent.request()
    document = request.document()
    assert isinstance(document, dict)
    assert EventCallbackHelper.is_valid(KEY, EventCallbackRequest.init({"event": document["event"]}))
    changed = {**document["event"], "event_type": "signature_request_signed"}
    assert not EventCallbackHelper.is_valid(KEY, EventCallbackRequest.init({"event": changed}))
    assert arrives("dropbox-sign", sent.headers, sent.body, KEY) == Verified(0)
    forged = sent.body.replace(b"signature_request_sent", b"signature_request_signed")
    assert refusal(arrives("dropbox-sign", sent.headers, forged, KEY)) is RefusalCode.SIGNATURE_MISMATCH
    found = compile_extractor(get_provider("dropbox-sign")).extract(request.headers, document)
    assert found == ("signature_request_sent", None)
