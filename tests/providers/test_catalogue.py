"""What holds for every provider of the catalogue, whoever it is."""

from __future__ import annotations

import pytest

from kanca.errors import UnknownProvider
from kanca.providers import (
    Refusal,
    Verified,
    compile_extractor,
    compile_verifier,
    get_provider,
    issue,
    make_delivery,
    provider_names,
    sign,
)
from tests.providers.arriving import NOW

URL = "https://hooks.example.com/webhooks/x"
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
    issued = issue(spec)
    delivery = make_delivery(spec, None, now=NOW, url=URL, event_type=event_type)
    request = sign(spec, None, issued.signing, delivery.draft).request()
    request.documents = issued.documents
    verdict = compile_verifier(spec).verify(request, [issued.checking], NOW)
    assert isinstance(verdict, Verified)
    found = compile_extractor(spec).extract(
        request.headers, request.document(), verdict.signed_id, request.body
    )
    if spec.event_type:
        assert found.event_type == event_type
    if spec.delivery_id:
        assert found.delivery_id


@pytest.mark.parametrize("name", provider_names())
def test_nothing_passes_without_a_secret_or_with_another(name: str) -> None:
    spec = get_provider(name)
    issued, other = issue(spec), issue(spec)
    request = sign(spec, None, issued.signing, make_delivery(spec, None, now=NOW, url=URL).draft).request()
    request.documents = other.documents
    verifier = compile_verifier(spec)
    for secrets in ([], [""], ["", ""], [other.checking], ["whsec_"], ["\x00"]):
        assert isinstance(verifier.verify(request, secrets, NOW), Refusal), secrets


@pytest.mark.parametrize(
    "name", ["nobody", "", "../spec", "catalogue/stripe", "Stripe", "stripe.toml", "\x00"]
)
def test_an_unknown_provider_is_an_error(name: str) -> None:
    with pytest.raises(UnknownProvider):
        get_provider(name)


@pytest.mark.parametrize(
    ("mistyped", "meant"), [("strpe", "stripe"), ("git-hub", "github"), ("slak", "slack")]
)
def test_a_mistyped_provider_is_told_the_nearest_name(mistyped: str, meant: str) -> None:
    with pytest.raises(UnknownProvider, match=f"did you mean `{meant}`"):
        get_provider(mistyped)


@pytest.mark.parametrize("name", ["nope", "facebook"])
def test_a_name_that_is_near_to_none_is_told_none(name: str) -> None:
    with pytest.raises(UnknownProvider) as caught:
        get_provider(name)
    assert "did you mean" not in caught.value.detail
