"""What holds for every provider of the catalogue, whoever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kanca.errors import UnknownProvider
from kanca.providers import (
    Refusal,
    Verified,
    compile_extractor,
    compile_verifier,
    generate_secret,
    get_provider,
    new_delivery_id,
    provider_names,
    sample,
    sign,
)
from tests.providers.arriving import NOW, arriving

SAMPLES = [(name, entry.event_type) for name in provider_names() for entry in get_provider(name).samples]


def test_the_catalogue_has_the_first_providers() -> None:
    expected = {"generic", "github", "hmac", "kanca", "shopify", "standardwebhooks", "stripe"}
    assert expected <= set(provider_names())


@pytest.mark.parametrize("name", provider_names())
def test_a_provider_describes_itself(name: str) -> None:
    spec = get_provider(name)
    assert spec.name == name
    assert spec.title
    assert spec.summary.endswith(".")
    assert spec.label in {"confirmed", "secondary", "recalled"}
    assert spec.source
    assert spec.docs_url is None or spec.docs_url.startswith("https://")
    assert spec.samples
    assert get_provider(name) is spec


@pytest.mark.parametrize("name", provider_names())
def test_what_is_from_memory_about_a_sender_is_marked_where_it_is_said(name: str) -> None:
    sender = get_provider(name).sender
    said = {"success": sender.success, "timeout_seconds": sender.timeout_seconds, "retries": sender.retries}
    assert all(said[fact] for fact in sender.recalled)


@pytest.mark.parametrize(("name", "event_type"), SAMPLES)
def test_a_sample_goes_the_whole_way(name: str, event_type: str) -> None:
    spec = get_provider(name)
    secret = generate_secret(spec)
    delivery_id = new_delivery_id(spec)
    delivery = sample(spec, NOW, delivery_id, event_type)
    headers = sign(spec, None, secret, delivery.body, NOW, delivery_id, delivery.event_type)
    request = arriving(headers, delivery.body)
    verdict = compile_verifier(spec).verify(request, [secret], NOW)
    assert isinstance(verdict, Verified)
    body: Any = json.loads(delivery.body)
    found = compile_extractor(spec).extract(request.headers, body, verdict.signed_id)
    if spec.event_type:
        assert found.event_type == event_type
    if spec.delivery_id:
        assert found.delivery_id
        assert found.delivery_id.endswith(delivery_id)


@pytest.mark.parametrize("name", provider_names())
def test_nothing_passes_without_a_secret_or_with_another(name: str) -> None:
    spec = get_provider(name)
    secret, other = generate_secret(spec), generate_secret(spec)
    request = arriving(sign(spec, None, secret, b"{}", NOW, "dlv-1", "x"))
    verifier = compile_verifier(spec)
    for secrets in ([], [""], ["", ""], [other], ["whsec_"], ["\x00"]):
        assert isinstance(verifier.verify(request, secrets, NOW), Refusal), secrets


@pytest.mark.parametrize(
    "name", ["nobody", "", "../spec", "catalogue/stripe", "Stripe", "stripe.toml", "\x00"]
)
def test_an_unknown_provider_is_an_error(name: str) -> None:
    with pytest.raises(UnknownProvider):
        get_provider(name)


def test_a_mistyped_provider_is_told_the_nearest_name() -> None:
    with pytest.raises(UnknownProvider, match="did you mean `stripe`"):
        get_provider("strpe")
