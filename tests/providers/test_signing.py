from __future__ import annotations

import json

import pytest

from kanca.errors import InvalidInput, InvalidSecret
from kanca.providers import get_provider
from kanca.providers.samples import new_delivery_id, sample
from tests.providers.arriving import NOW, own_spec, sign


def test_the_headers_are_those_that_the_provider_sends() -> None:
    headers = sign(get_provider("github"), None, "a secret", b"{}", NOW, "72d3162e", "issues.opened")
    assert headers["X-GitHub-Event"] == "issues"
    assert headers["X-GitHub-Delivery"] == "72d3162e"
    assert headers["X-Hub-Signature-256"].startswith("sha256=")
    assert headers["Content-Type"] == "application/json"


def test_a_token_is_shown_as_it_is() -> None:
    headers = sign(get_provider("generic"), None, "wht_1", b"{}", NOW, "dlv-1", "x")
    assert headers["Authorization"] == "Bearer wht_1"


def test_a_provider_that_signs_nothing_gets_no_proof() -> None:
    spec = own_spec({"scheme": "none"})
    assert sign(spec, None, "", b"{}", NOW, "dlv-1", "x") == {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("name", "secret"), [("stripe", ""), ("standardwebhooks", "whsec_!"), ("generic", "")]
)
def test_a_secret_that_is_no_key_is_an_error(name: str, secret: str) -> None:
    with pytest.raises(InvalidSecret):
        sign(get_provider(name), None, secret, b"{}", NOW, "dlv-1", "x")


def test_a_signed_header_that_is_not_set_is_an_error() -> None:
    spec = own_spec({"header": "s", "signed_content": "{header:X-Nonce}{body}"})
    with pytest.raises(InvalidInput, match="x-nonce"):
        sign(spec, None, "secret", b"{}", NOW, "dlv-1", "x")


def test_a_delivery_id_that_could_be_confused_is_an_error() -> None:
    with pytest.raises(InvalidInput, match=r"contains `\.`"):
        sign(get_provider("standardwebhooks"), None, "whsec_QUJD", b"{}", NOW, "msg.1", "x")


def test_a_sample_has_fresh_ids_and_times_and_the_type_asked_for() -> None:
    stripe = get_provider("stripe")
    delivery_id = new_delivery_id(stripe)
    assert delivery_id.startswith("evt_")
    assert delivery_id != new_delivery_id(stripe)
    delivery = sample(stripe, NOW, delivery_id, "customer.created")
    body = json.loads(delivery.body)
    assert (body["id"], body["type"], body["created"]) == (delivery_id, "customer.created", int(NOW))
    assert delivery.event_type == "customer.created"


def test_what_is_filled_into_a_sample_is_escaped_once() -> None:
    delivery = sample(get_provider("kanca"), NOW, '"{event_type}"', 'say "hi"\n')
    body = json.loads(delivery.body)
    assert (body["event_id"], body["event_type"]) == ('"{event_type}"', 'say "hi"\n')


def test_a_provider_without_samples_sends_an_envelope() -> None:
    delivery = sample(own_spec({"header": "s"}), NOW, "dlv-1")
    assert json.loads(delivery.body)["event_type"] == delivery.event_type == "test.event"


def test_a_secret_that_cannot_sign_is_refused_with_what_is_wrong_with_it() -> None:
    with pytest.raises(InvalidSecret) as raised:
        sign(get_provider("meta"), None, "only-the-app-secret", b"{}", NOW, "dlv-1", "x")
    assert "`app_secret:verify_token`" in raised.value.detail
    assert "only-the-app-secret" not in raised.value.detail
